//! Many Workers under test in one process.

use futures::future::join_all;
use serde_json::{Value, json};

use super::guest;

#[tokio::test]
async fn a_hundred_run_side_by_side_and_none_sees_another() {
    let worker = guest("introspection");
    let test = |score: i64| {
        let worker = worker.clone();
        async move {
            let worker = worker.start().await.unwrap();
            let before = worker.clock().now();
            worker.outbound("who.example", move |_| async move { http::Response::new(score.to_string()) });
            let all = worker.introspect("MODERATOR").unwrap();
            all.modify_all(|m| m.mock_event("moderation-decision", score)).unwrap();
            // Every one of them has an instance of this id.
            let moderator = worker.workflow("MODERATOR").unwrap();
            let instance = moderator.create_with_id("a", &json!({ "score": score })).await.unwrap().introspect();
            assert_eq!(instance.wait_for_step_result::<i64>("AI content scan").await.unwrap(), score);
            instance.wait_for_status("complete").await.unwrap();
            let output: Value = instance.output().await.unwrap();
            let relayed: Value = worker.get("/relay?url=http://who.example/").await.unwrap().json().unwrap();
            assert_eq!(relayed["body"], score.to_string());
            assert_eq!((all.get().unwrap().len(), worker.console().len()), (1, 1));
            // Its own ten seconds were skipped, and nobody else's.
            let passed = worker.clock().now().since(before).as_secs();
            assert!((10..300).contains(&passed), "{passed} s");
            (score, output)
        }
    };
    for (score, output) in join_all((0..100).map(test)).await {
        match score {
            ..10 => assert_eq!(output["status"], "auto_approved"),
            91.. => assert_eq!(output["status"], "auto_rejected"),
            _ => assert_eq!(output, json!({ "status": "moderated", "decision": score })),
        }
    }
}
