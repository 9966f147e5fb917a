//! Durable Objects.

use miniflow_sdk::*;
use serde_json::{Value, json};

pub(crate) async fn ask(ns: &ObjectNamespace) -> Result<Response> {
    let id = ns.id_from_name("a")?;
    let again = ns.id_from_string(&id.to_string())?;
    let stub = id.get_stub()?;
    let unique = ns.unique_id()? != id && again == id;
    let by_name = ns.get_by_name("a")?.fetch_with_str("http://inside.test/").await?.status_code();
    let mut answer = stub.fetch_with_request(Request::new("http://inside.test/", Method::Get)?).await?;
    Response::from_json(&json!({ "unique": unique, "status": by_name, "said": answer.json::<Value>().await? }))
}

#[durable_object]
pub struct Counter {
    state: State,
}

impl DurableObject for Counter {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, _req: Request) -> Result<Response> {
        let (state, storage, k) = (&self.state, self.state.storage(), "n");
        state.wait_until(async { console_error!("an object is asked") });
        let n = storage.get::<u32>(k).await?.unwrap_or_default() + 1;
        storage.put(k, n).await?;
        storage.put_multiple(json!({ "a": 1, "b": 2 })).await?;
        let keys = vec!["a", "b"];
        let entries = storage.get_multiple(keys).await?;
        let k = "a";
        let one = entries.get::<u32>(k)?;
        let listed = storage.list().await?;
        let some = storage.list_with_options(ListOptions::new().prefix("a")).await?;
        let pairs = some.to_vec::<u32>()?.len() + entries.keys().count();
        let undone = storage.transaction(|txn| async move {
            txn.put("a", 7).await?;
            txn.rollback()
        });
        undone.await?;
        storage.set_alarm(3_600_000).await?;
        let alarm = storage.get_alarm().await?.is_some();
        storage.delete_alarm().await?;
        Response::from_json(&json!({
            "n": n, "one": one, "listed": listed.len(), "pairs": pairs, "alarm": alarm, "sql": self.sql()?, "id": state.id().to_string().len(),
        }))
    }
}

impl Counter {
    fn sql(&self) -> Result<Value> {
        let storage = self.state.storage();
        storage.sql().exec("CREATE TABLE IF NOT EXISTS t (x)", None)?;
        let (q, bindings) = ("INSERT INTO t VALUES (?) RETURNING x", vec![SqlStorageValue::from(1)]);
        let cursor = storage.sql().exec(q, bindings)?;
        let counts = (cursor.rows_read(), cursor.rows_written(), cursor.column_names());
        let row: Value = cursor.one()?;
        let all = storage.sql().exec("SELECT x FROM t LIMIT 1", None)?;
        let first = all.next::<Value>().next().transpose()?;
        let raw = storage.sql().exec("SELECT x FROM t LIMIT 1", None)?.raw().count();
        let rows: Vec<Value> = storage.sql().exec("SELECT x FROM t LIMIT 1", None)?.to_array()?;
        let large = storage.sql().database_size() > 0;
        Ok(json!({ "row": row, "first": first, "raw": raw, "rows": rows.len(), "large": large, "counts": counts }))
    }
}
