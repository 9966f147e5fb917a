//! Reads a query string into a type of the user: `application/x-www-form-urlencoded` for serde.
//!
//! **Guarantees**: a field takes a string, a number, a boolean, a character, a unit variant by its name, or an `Option` of those.
//! A map and a list of pairs take every pair in its order.
//!
//! **Non-goals**: nested values, and lists in a field.

use std::borrow::Cow;

use serde::de::value::{Error, MapDeserializer};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use url::form_urlencoded;

/// Returns the pairs of `query` as a `T`.
pub(super) fn from_str<T: DeserializeOwned>(query: &str) -> Result<T, Error> {
    T::deserialize(Pairs(query))
}

/// All pairs of a query string.
struct Pairs<'q>(&'q str);

impl<'q> Pairs<'q> {
    fn each(&self) -> MapDeserializer<'q, impl Iterator<Item = (Text<'q>, Text<'q>)> + use<'q>, Error> {
        MapDeserializer::new(form_urlencoded::parse(self.0.as_bytes()).map(|(key, value)| (Text(key), Text(value))))
    }
}

impl<'de> Deserializer<'de> for Pairs<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self.each())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(self.each())
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.each().end()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 char str string option bytes byte_buf unit_struct tuple_struct
        struct identifier tuple enum ignored_any
    }
}

/// A decoded key or value.
struct Text<'q>(Cow<'q, str>);

impl<'de> IntoDeserializer<'de> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Parses the text as the type that is asked for.
macro_rules! parsed {
    ($($method:ident $visit:ident,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.0.parse().map_err(Error::custom)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    parsed! {
        deserialize_bool visit_bool,
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64,
        deserialize_u128 visit_u128,
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_i128 visit_i128,
        deserialize_f32 visit_f32, deserialize_f64 visit_f64,
    }

    forward_to_deserialize_any! {
        char str string unit bytes byte_buf unit_struct tuple_struct struct identifier tuple ignored_any seq map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        Up,
        Down,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(u64);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Query {
        name: String,
        page: Option<u32>,
        #[serde(default)]
        exact: bool,
        ratio: Option<f64>,
        order: Option<Order>,
        id: Option<Id>,
        initial: Option<char>,
    }

    fn minimal(name: &str) -> Query {
        let name = name.to_owned();
        Query { name, page: None, exact: false, ratio: None, order: None, id: None, initial: None }
    }

    #[test]
    fn query_fields_take_every_scalar_type() {
        let query = "name=a+b%26c&page=7&exact=true&ratio=0.5&order=down&id=9&initial=%C3%A4&other=1";
        let expected = Query {
            page: Some(7),
            exact: true,
            ratio: Some(0.5),
            order: Some(Order::Down),
            id: Some(Id(9)),
            initial: Some('ä'),
            ..minimal("a b&c")
        };
        assert_eq!(from_str(query), Ok(expected));
        assert_eq!(from_str("name="), Ok(minimal("")));
    }

    #[test]
    fn query_pairs_keep_order_and_duplicates() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(from_str("b=1&a=2&b=3"), Ok(vec![pair("b", "1"), pair("a", "2"), pair("b", "3")]));
        assert_eq!(from_str("b=1&a=2"), Ok(BTreeMap::from([pair("a", "2"), pair("b", "1")])));
        assert_eq!(from_str(""), Ok(()));
    }

    #[test]
    fn query_of_another_shape_is_refused_with_reason() {
        fn error<T: DeserializeOwned + Debug>(query: &str) -> String {
            from_str::<T>(query).unwrap_err().to_string()
        }
        assert_eq!(error::<Query>("page=1"), "missing field `name`");
        assert_eq!(error::<Query>("name=a&page=x"), "invalid digit found in string");
        assert_eq!(error::<Query>("name=a&name=b"), "duplicate field `name`");
        assert_eq!(error::<Query>("name=a&order=left"), "unknown variant `left`, expected `up` or `down`");
        assert_eq!(error::<BTreeMap<String, Vec<u8>>>("a=1"), "invalid type: string \"1\", expected a sequence");
        assert_eq!(error::<()>("a=1"), "invalid length 1, expected 0 elements in map");
    }
}
