//! Opens the Worker in a browser.

use std::process::Stdio;

use tokio::process::Command;

/// Opens `url` in the browser that `BROWSER` names, or in that of the system. Returns at once; a browser that cannot be started is told in the
/// log.
pub(super) fn open(url: &str) {
    let mut command = command(std::env::var("BROWSER").ok().as_deref(), url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let url = url.to_owned();
    tokio::spawn(async move {
        let why = match command.status().await {
            Ok(status) if status.success() => return,
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let program = command.as_std().get_program().to_string_lossy();
        tracing::warn!("no browser was opened at {url}: `{program}`: {why}; set `BROWSER` to the one to use");
    });
}

/// `browser` is a list of commands, of which the first counts; `%s` in it stands for the URL.
fn command(browser: Option<&str>, url: &str) -> Command {
    // A colon inside of a Windows path is none of the list's.
    let first = browser.and_then(|list| if cfg!(windows) { Some(list) } else { list.split(':').next() });
    let mut words = first.unwrap_or_default().split_whitespace();
    let Some(program) = words.next() else { return of_system(url) };
    let mut command = Command::new(program);
    let mut has_url = false;
    for word in words {
        has_url |= word.contains("%s");
        command.arg(word.replace("%s", url));
    }
    if !has_url {
        command.arg(url);
    }
    command
}

fn of_system(url: &str) -> Command {
    if cfg!(windows) {
        let mut command = Command::new("cmd");
        // The first text in quotes would be the window's title.
        command.args(["/C", "start", "", url]);
        command
    } else {
        let mut command = Command::new(if cfg!(target_os = "macos") { "open" } else { "xdg-open" });
        command.arg(url);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_names_the_command() {
        let words = |browser| {
            let command = command(browser, "http://x");
            let command = command.as_std();
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(words(Some("firefox --new-window")), ["firefox", "--new-window", "http://x"]);
        assert_eq!(words(Some("lynx -x=%s")), ["lynx", "-x=http://x"]);
        if cfg!(unix) {
            assert_eq!(words(Some("a:b")), ["a", "http://x"]);
        }
        assert_eq!(words(None), words(Some("")));
    }
}
