//! Operations on an object, from a test.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use miniflow_sdk::*;
use serde_json::{Map, Value, json};

/// Does the operations one after the other and returns their results. An operation is an object with `op` and what belongs to it; one with `catch` gives
/// `{error, code}` when it fails, others end the script.
pub(crate) async fn run(state: &State, env: &Env, events: u32, operations: &[Value]) -> Result<Vec<Value>> {
    let mut results = Vec::new();
    for operation in operations {
        let result = one(state, env, events, operation).await;
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

fn one<'a>(state: &'a State, env: &'a Env, events: u32, op: &'a Value) -> LocalBoxFuture<'a, Result<Value>> {
    Box::pin(async move {
        let storage = state.storage();
        match text(op, "op") {
            "get" => Ok(storage.get::<Value>(text(op, "key")).await?.unwrap_or_default()),
            "get_multiple" => {
                let keys: Vec<String> = serde_json::from_value(op["keys"].clone())?;
                pairs(&storage.get_multiple(keys).await?)
            }
            "put" => storage.put(text(op, "key"), &op["value"]).await.map(|()| Value::Null),
            "put_large" => {
                let size = usize::try_from(op["size"].as_u64().unwrap_or_default()).unwrap_or_default();
                storage.put(text(op, "key"), "x".repeat(size)).await.map(|()| Value::Null)
            }
            "put_multiple" => storage.put_multiple(&op["entries"]).await.map(|()| Value::Null),
            "increment" => {
                let value = storage.get::<u64>(text(op, "key")).await?.unwrap_or_default() + 1;
                storage.put(text(op, "key"), value).await?;
                Ok(value.into())
            }
            "delete" => Ok(storage.delete(text(op, "key")).await?.into()),
            "delete_multiple" => {
                let keys: Vec<String> = serde_json::from_value(op["keys"].clone())?;
                Ok(storage.delete_multiple(keys).await?.into())
            }
            "delete_all" => storage.delete_all().await.map(|()| Value::Null),
            "list" => pairs(&storage.list_with_options(list_options(op)).await?),
            "sync" => storage.sync().await.map(|()| Value::Null),
            "sql" => sql(&storage, op),
            "sql_one" => storage.sql().exec(text(op, "query"), None)?.one(),
            "cursor" => cursor(&storage, op),
            "size" => Ok(storage.sql().database_size().into()),
            "set_alarm" => {
                storage.set_alarm(op["ms"].as_i64().unwrap_or_default()).await?;
                Ok(storage.get_alarm().await?.into())
            }
            "set_alarm_at" => {
                let at = op["at"].as_u64().unwrap_or_default();
                storage.set_alarm(Date::new(DateInit::Millis(at))).await?;
                Ok(storage.get_alarm().await?.into())
            }
            "get_alarm" => Ok(storage.get_alarm().await?.into()),
            "delete_alarm" => storage.delete_alarm().await.map(|()| Value::Null),
            "transaction" => {
                let operations = op["do"].as_array().cloned().unwrap_or_default();
                let mut results = Vec::new();
                let kept = &mut results;
                storage
                    .transaction(|transaction| async move {
                        *kept = run(state, env, events, &operations).await?;
                        if op["rollback"] == true {
                            transaction.rollback()?;
                        }
                        Ok(())
                    })
                    .await?;
                Ok(results.into())
            }
            "fetch" => {
                let mut response = Fetch::Url(text(op, "url").parse()?).send().await?;
                Ok(response.text().await?.into())
            }
            "object" => {
                let stub = env.durable_object(text(op, "binding"))?.get_by_name(text(op, "name"))?;
                let mut init = RequestInit::new();
                init.with_method(Method::Post).with_body(Some(op["do"].to_string().into()));
                stub.fetch_with_request(Request::new_with_init("http://inside.test/", init)?).await?.json().await
            }
            "service" => {
                let mut response = env.service(text(op, "binding"))?.fetch(text(op, "url"), None).await?;
                Ok(json!({ "status": response.status_code(), "body": response.text().await? }))
            }
            "workflow" => {
                let options = CreateOptions::new().with_id(text(op, "id")).with_params(&op["params"]);
                Ok(env.workflow("ECHO")?.create(options).await?.id().into())
            }
            "workflow_status" => {
                let status = env.workflow("ECHO")?.get(text(op, "id")).await?.status().await?;
                Ok(json!({ "output": status.output }))
            }
            "delay" => {
                Delay::from(Duration::from_millis(op["ms"].as_u64().unwrap_or_default())).await;
                Ok(Value::Null)
            }
            "later" => {
                let url = text(op, "url").to_owned();
                let storage = state.storage();
                let ms = op["ms"].as_u64().unwrap_or_default();
                state.wait_until(async move {
                    Delay::from(Duration::from_millis(ms)).await;
                    let written = storage.put("later", true).await;
                    console_log!("later: {written:?}");
                    if let Ok(url) = url.parse() {
                        let _ = Fetch::Url(url).send().await;
                    }
                });
                Ok(Value::Null)
            }
            "id" => Ok(json!({ "id": state.id().to_string(), "name": state.id().name() })),
            "stub_of_itself" => state.id().get_stub().map(|_| Value::Null),
            "events" => Ok(events.into()),
            "panic" => panic!("asked to panic"),
            "fail" => Err(text(op, "message").into()),
            other => Err(format!("no operation `{other}`").into()),
        }
    })
}

fn list_options(op: &Value) -> ListOptions<'_> {
    let mut options = ListOptions::new();
    if let Some(start) = op["start"].as_str() {
        options = options.start(start);
    }
    if let Some(start_after) = op["start_after"].as_str() {
        options = options.start_after(start_after);
    }
    if let Some(end) = op["end"].as_str() {
        options = options.end(end);
    }
    if let Some(prefix) = op["prefix"].as_str() {
        options = options.prefix(prefix);
    }
    if let Some(limit) = op["limit"].as_u64() {
        options = options.limit(usize::try_from(limit).unwrap_or_default());
    }
    options.reverse(op["reverse"] == true)
}

fn pairs(entries: &Entries) -> Result<Value> {
    let pairs: Vec<(String, Value)> = entries.to_vec()?;
    Ok(serde_json::to_value(pairs)?)
}

fn sql(storage: &Storage, op: &Value) -> Result<Value> {
    let bindings = op["bindings"].as_array().map(|values| values.iter().map(sql_value).collect::<Vec<_>>());
    let cursor = storage.sql().exec(text(op, "query"), bindings)?;
    let (columns, written) = (cursor.column_names(), cursor.rows_written());
    let rows: Vec<Map<String, Value>> = cursor.to_array()?;
    Ok(json!({ "columns": columns, "rows": rows, "written": written, "read": cursor.rows_read() }))
}

/// Reads a row in each way, and what is left by a clone.
fn cursor(storage: &Storage, op: &Value) -> Result<Value> {
    let cursor = storage.sql().exec(text(op, "query"), None)?;
    let first = cursor.next::<Value>().next().transpose()?;
    let raw = cursor.raw().next().transpose()?.map(|row| format!("{row:?}"));
    let copy = cursor.clone();
    if let Some(between) = op["between"].as_str() {
        storage.sql().exec(between, None)?;
    }
    let rest: Vec<Value> = copy.to_array()?;
    let again: Vec<Value> = cursor.to_array()?;
    let one = cursor.one::<Value>().map_err(|error| error.to_string()).err();
    Ok(json!({ "first": first, "raw": raw, "rest": rest, "again": again, "one": one, "read": cursor.rows_read() }))
}

fn sql_value(value: &Value) -> SqlStorageValue {
    match value {
        Value::Null => SqlStorageValue::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(bytes) => {
            SqlStorageValue::Blob(bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect())
        }
        Value::Object(_) => SqlStorageValue::Null,
    }
}
