//! A workflow that its schedule starts. The handler only looks at what has become of it.

use miniflow_sdk::serde_json::json;
use miniflow_sdk::*;

/// As in the configuration.
const SCHEDULE: &str = "0 * * * *";

const HOUR_MS: u64 = 3_600_000;

/// The id of the instance of that moment.
fn id_at(moment_ms: u64) -> String {
    format!("{SCHEDULE}-{moment_ms}")
}

/// `GET /` tells of the last report, `GET /today` how many there are of the last 24 hours.
#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let reports = env.workflow("REPORTS")?;
    let now_ms = Date::now().as_millis();
    let last_ms = now_ms - now_ms % HOUR_MS;
    match req.path().as_str() {
        "/" => {
            let id = id_at(last_ms);
            let Ok(report) = reports.get(&id).await else {
                return Response::error(format!("nothing yet: `{id}` was before this server"), 404);
            };
            let status = report.status().await?;
            Response::from_json(&json!({ "id": id, "status": status.status, "output": status.output }))
        }
        "/today" => {
            let mut count = 0;
            for hours_ago in 0..24 {
                let is_there = reports.get(id_at(last_ms - hours_ago * HOUR_MS)).await.is_ok();
                count += u32::from(is_there);
            }
            Response::from_json(&json!({ "reports": count }))
        }
        _ => Response::error("Not Found", 404),
    }
}

#[workflow]
pub struct Report {}

impl WorkflowEntrypoint for Report {
    type Input = ();
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<()>, step: WorkflowStep) -> Result<String> {
        // The moment it stands for, not the one at which this runs. None when somebody started it by hand.
        let of = event.schedule.and_then(|schedule| schedule.scheduled_time).unwrap_or(event.timestamp);
        let report = step.do_("write", |_| async move { Ok(format!("report of {of}")) }).await?;
        step.do_("send", |_| async {
            console_log!("sent: {report}");
            Ok(())
        })
        .await?;
        Ok(report)
    }
}
