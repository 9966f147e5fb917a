//! Operations on namespaces, from a test.

use miniflow_sdk::*;
use serde_json::{Value, json};

/// Does the operations one after the other and returns their results. An operation is an object with `op` and what belongs to it; one with
/// `catch` gives `{error, code}` when it fails, others end the script.
pub(crate) async fn run(env: &Env, state: Option<&State>, operations: &[Value]) -> Result<Vec<Value>> {
    let mut results = Vec::new();
    for operation in operations {
        let result = one(env, state, operation).await;
        results.push(match result {
            Err(error) if operation["catch"] == true => json!({ "error": error.to_string(), "code": error.code() }),
            result => result?,
        });
    }
    Ok(results)
}

fn text<'a>(operation: &'a Value, name: &str) -> &'a str {
    operation[name].as_str().unwrap_or_default()
}

/// A text of the operation; one with `NAME_size` is so many `x`.
fn sized(operation: &Value, name: &str) -> String {
    match operation[format!("{name}_size")].as_u64() {
        Some(size) => "x".repeat(usize::try_from(size).unwrap_or_default()),
        None => text(operation, name).to_owned(),
    }
}

async fn one(env: &Env, state: Option<&State>, op: &Value) -> Result<Value> {
    let kv = || env.kv(op["in"].as_str().unwrap_or("KV"));
    let key = sized(op, "key");
    match text(op, "op") {
        "put" => put(&kv()?, &key, op).await.map(|()| Value::Null),
        "put_bytes" => {
            let bytes: Vec<u8> = serde_json::from_value(op["value"].clone())?;
            kv()?.put_bytes(&key, &bytes)?.execute().await.map(|()| Value::Null)
        }
        "get" => get(kv()?.get(&key), op).await,
        "get_bulk" => {
            let keys: Vec<String> = serde_json::from_value(op["keys"].clone())?;
            let kv = kv()?;
            Ok(match text(op, "as") {
                "json" => serde_json::to_value(kv.get(&keys).json::<Value>().await?)?,
                "text_with_metadata" => serde_json::to_value(kv.get_bulk(&keys).text_with_metadata::<Value>().await?)?,
                _ => serde_json::to_value(kv.get(&keys[..]).text().await?)?,
            })
        }
        "delete" => kv()?.delete(&key).await.map(|()| Value::Null),
        "list" => {
            let mut list = kv()?.list();
            if let Some(limit) = op["limit"].as_u64() {
                list = list.limit(limit);
            }
            if let Some(cursor) = op["cursor"].as_str() {
                list = list.cursor(cursor.to_owned());
            }
            if op.get("prefix").is_some() || op.get("prefix_size").is_some() {
                list = list.prefix(sized(op, "prefix"));
            }
            Ok(serde_json::to_value(list.execute().await?)?)
        }
        "sql" => {
            let state = state.ok_or("only an object has storage")?;
            state.storage().sql().exec(text(op, "query"), None)?;
            Ok(Value::Null)
        }
        "send" => env.queue("Q")?.send(&op["value"]).await.map(|()| Value::Null),
        "queued" => Ok(env.queue("Q")?.metrics().await?.backlog_count.into()),
        "tell" => Fetch::Url(text(op, "url").parse()?).send().await.map(|_| Value::Null),
        other => Err(format!("no operation `{other}`").into()),
    }
}

async fn put(kv: &KvStore, key: &str, op: &Value) -> Result<()> {
    let mut put = match &op["value"] {
        Value::Null => kv.put(key, sized(op, "value"))?,
        value => kv.put(key, value)?,
    };
    if let Some(expiration) = op["expiration"].as_u64() {
        put = put.expiration(expiration);
    }
    if let Some(ttl) = op["ttl"].as_u64() {
        put = put.expiration_ttl(ttl);
    }
    if op.get("metadata").is_some() {
        put = put.metadata(&op["metadata"])?;
    } else if op.get("metadata_size").is_some() {
        put = put.metadata(sized(op, "metadata"))?;
    }
    put.execute().await
}

async fn get(mut get: kv::GetOptionsBuilder, op: &Value) -> Result<Value> {
    if let Some(cache_ttl) = op["cache_ttl"].as_u64() {
        get = get.cache_ttl(cache_ttl);
    }
    Ok(match text(op, "as") {
        "json" => get.json::<Value>().await?.unwrap_or_default(),
        "number" => get.json::<u32>().await?.into(),
        "bytes" => get.bytes().await?.into(),
        "text_with_metadata" => serde_json::to_value(get.text_with_metadata::<Value>().await?)?,
        "json_with_metadata" => serde_json::to_value(get.json_with_metadata::<Value, Value>().await?)?,
        "bytes_with_metadata" => serde_json::to_value(get.bytes_with_metadata::<Value>().await?)?,
        "size" => get.bytes().await?.map(|bytes| bytes.len()).into(),
        _ => get.text().await?.into(),
    })
}
