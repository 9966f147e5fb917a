//! Reading JSON that came from outside of the class.

use serde::de::DeserializeOwned;

/// Reads a payload as a `T`. Without params an instance's payload is `{}`, and elsewhere none may be `null`: both read as
/// `()` and as `None`.
pub(super) fn decode<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json)
        .or_else(|error| if is_nothing(json) { serde_json::from_slice(b"null").map_err(|_| error) } else { Err(error) })
}

fn is_nothing(json: &[u8]) -> bool {
    match serde_json::from_slice(json) {
        Ok(serde_json::Value::Null) => true,
        Ok(serde_json::Value::Object(fields)) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Order {
        id: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Lenient {
        id: Option<u32>,
    }

    // rules: C2.10-2
    #[test]
    fn no_payload_is_a_unit_in_either_form() {
        for json in ["{}", "null", " { } "] {
            decode::<()>(json.as_bytes()).unwrap();
        }
        assert!(decode::<()>(b"{\"id\":1}").is_err());
        assert!(decode::<()>(b"[]").is_err());
    }

    // rules: C2.10-2
    #[test]
    fn no_payload_is_none() {
        assert_eq!(decode::<Option<Order>>(b"null").unwrap(), None);
        assert_eq!(decode::<Option<Order>>(b"{}").unwrap(), None);
        assert_eq!(decode::<Option<Order>>(b"{\"id\":1}").unwrap(), Some(Order { id: 1 }));
        assert!(decode::<Option<Order>>(b"{\"id\":\"x\"}").is_err());
    }

    #[test]
    fn an_empty_object_stays_one_where_that_fits() {
        assert_eq!(decode::<Lenient>(b"{}").unwrap(), Lenient { id: None });
        assert_eq!(decode::<serde_json::Value>(b"{}").unwrap(), serde_json::json!({}));
    }

    #[test]
    fn the_error_is_the_one_of_the_payload_as_it_is() {
        assert!(decode::<Order>(b"{}").unwrap_err().to_string().contains("missing field `id`"));
    }
}
