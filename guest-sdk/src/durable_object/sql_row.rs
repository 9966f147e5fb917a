//! Rows of a database as any type: a map of the columns' names to their values.

use serde::de::value::{Error as ValueError, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::bindings::miniflow::worker::object_sql::Value;
use crate::{Error, Result};

pub(super) fn decode<T: DeserializeOwned>(columns: &[String], row: Vec<Value>) -> Result<T> {
    let entries = columns.iter().map(String::as_str).zip(row.into_iter().map(Column));
    T::deserialize(MapDeserializer::new(entries))
        .map_err(|error: ValueError| Error::from(format!("the row does not fit: {error}")))
}

struct Column(Value);

impl<'de> IntoDeserializer<'de, ValueError> for Column {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Column {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Integer(value) => visitor.visit_i64(value),
            Value::Real(value) => visitor.visit_f64(value),
            Value::Text(value) => visitor.visit_string(value),
            // What has no bytes of its own, such as JSON, has sequences.
            Value::Blob(value) => value.into_deserializer().deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Blob(value) => visitor.visit_byte_buf(value),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            // SQLite has no other booleans.
            Value::Integer(value @ (0 | 1)) => visitor.visit_bool(value == 1),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Text(value) => value.into_deserializer().deserialize_enum(name, variants, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Color {
        Red,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Everything {
        small: u8,
        ratio: f64,
        text: String,
        bytes: Vec<u8>,
        missing: Option<i64>,
        there: Option<i64>,
        flag: bool,
        color: Color,
    }

    #[test]
    fn columns_are_fields() {
        let columns = ["small", "ratio", "text", "bytes", "missing", "there", "flag", "color"].map(ToOwned::to_owned);
        let text = |text: &str| Value::Text(text.to_owned());
        let row = vec![
            Value::Integer(7),
            Value::Real(0.5),
            text("x"),
            Value::Blob(vec![1, 2]),
            Value::Null,
            Value::Integer(-1),
            Value::Integer(1),
            text("red"),
        ];
        let expected = Everything {
            small: 7,
            ratio: 0.5,
            text: "x".into(),
            bytes: vec![1, 2],
            missing: None,
            there: Some(-1),
            flag: true,
            color: Color::Red,
        };
        assert_eq!(decode::<Everything>(&columns, row).unwrap(), expected);
    }

    #[test]
    fn any_json_value_can_be_read() {
        let columns = ["a", "b", "c"].map(ToOwned::to_owned);
        let row = vec![Value::Integer(1), Value::Null, Value::Blob(vec![1, 2])];
        let value: serde_json::Value = decode(&columns, row).unwrap();
        assert_eq!(value, serde_json::json!({ "a": 1, "b": null, "c": [1, 2] }));
    }

    #[test]
    fn a_row_of_another_shape_says_what_does_not_fit() {
        #[derive(Deserialize, Debug)]
        struct Small {
            #[expect(dead_code, reason = "never made")]
            n: u8,
        }
        let error = decode::<Small>(&["n".to_owned()], vec![Value::Integer(300)]).unwrap_err().to_string();
        assert!(error.starts_with("the row does not fit: ") && error.contains("300"), "{error}");
    }
}
