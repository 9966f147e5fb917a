//! Does something at the moments that the configuration lists, and tells when it was done last.

use miniflow_sdk::*;

const LAST: &str = "last";

#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, _ctx: ScheduleContext) -> Result<()> {
    // The moment that it stands for, which is not quite the one at which it runs.
    let moment = Date::from(event.schedule() as u64);
    console_log!("{} of {moment}", event.cron());
    env.kv("RUNS")?
        .put(LAST, moment.to_string())?
        .execute()
        .await
}

/// `GET /` tells when it was done last.
#[event(fetch, respond_with_errors)]
async fn fetch(_req: Request, env: Env, _ctx: Context) -> Result<Response> {
    match env.kv("RUNS")?.get(LAST).text().await? {
        Some(moment) => Response::ok(format!("done for {moment}\n")),
        None => Response::ok("not done yet\n"),
    }
}
