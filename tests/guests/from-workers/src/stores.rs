//! KV and queues.

use miniflow_sdk::*;
use serde_json::{Value, json};

pub(crate) async fn kv(kv: &KvStore) -> Result<Response> {
    let (k, v, m) = ("k", json!({ "a": 1 }), "note");
    kv.put(k, v)?.expiration_ttl(3600).metadata(m)?.execute().await?;
    let far = Date::now().as_millis() / 1000 + 3600;
    kv.put("other", "text")?.expiration(far).execute().await?;
    kv.put_bytes("bytes", &[1, 2])?.execute().await?;
    let json = kv.get(k).json::<Value>().await?;
    let (_, note) = kv.get(k).text_with_metadata::<String>().await?;
    let n = 60;
    let text = kv.get("other").cache_ttl(n).text().await?;
    let bytes = kv.get("bytes").bytes().await?;
    let keys = ["k".to_owned(), "other".to_owned()];
    let several = (kv.get(&keys[..]).text().await?.len(), kv.get_bulk(&keys).text().await?.len());
    let (s, n) = ("o".to_owned(), 1);
    let page = kv.list().prefix(s).limit(n).execute().await?;
    let c = kv.list().limit(1).execute().await?.cursor.unwrap_or_default();
    let next = kv.list().cursor(c).execute().await?;
    kv.delete(k).await?;
    let code = kv.put("", "x")?.execute().await.err().and_then(|error| error.code().map(str::to_owned));
    Response::from_json(&json!({
        "json": json, "note": note, "text": text, "bytes": bytes, "several": several, "page": page.keys.len(), "next": next.keys.len(), "code": code,
    }))
}

pub(crate) async fn queue(queue: &Queue) -> Result<Response> {
    let (v, vec) = (json!("sent"), vec![json!("first"), json!("second")]);
    queue.send(v).await?;
    queue.send_batch(vec).await?;
    let built = MessageBuilder::message(json!("built")).with_content_type(QueueContentType::Json).build();
    queue.send(built).await?;
    queue.send_batch(BatchMessageBuilder::message(json!("batch")).with_delay_seconds(0).build()).await?;
    let bytes = b"\"raw\"".to_vec();
    queue.send_raw(RawMessageBuilder::message(bytes).build_with_content_type(QueueContentType::Json)).await?;
    let left = queue.metrics().await?.backlog_count;
    Response::from_json(&json!({ "came": left <= 6 }))
}

/// Acknowledges in every way, and puts what came under its own name.
pub(crate) async fn consume(batch: &MessageBatch<Value>, env: &Env) -> Result<()> {
    for raw in batch.raw_iter() {
        let name = raw.body::<String>()?;
        let whole = !raw.id().is_empty() && raw.timestamp().as_millis() > 0 && raw.attempts() > 0;
        env.kv("KV")?.put(&format!("came-{name}"), whole)?.execute().await?;
    }
    for message in batch.messages()? {
        match message.body().as_str() {
            Some("first") if message.attempts() == 1 => message.retry(),
            _ => message.ack(),
        }
    }
    match batch.iter().next().transpose()?.map(Message::into_body).as_ref().and_then(Value::as_str) {
        Some("all") => batch.ack_all(),
        Some("again") => batch.retry_all(),
        Some("later") => {
            batch.retry_all_with_options(&QueueRetryOptionsBuilder::new().with_delay_seconds(1).build());
        }
        _ => {}
    }
    Ok(())
}
