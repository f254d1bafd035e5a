//! The program as a process of its own: what it prints, what it logs, how it ends.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
};

use serde_json::Value;

use super::PATIENCE;

/// The program, without this process's environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sideband-relay"));
    command.env_clear();
    command
}

/// Runs a command that fails with that code and one line, which is returned.
pub(crate) fn fails(code: i32, arguments: &[&str]) -> String {
    let output = program().args(arguments).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(output.stdout.is_empty());
    line
}

/// A relay in a process of its own. It is killed when dropped.
pub(crate) struct Served {
    child: Child,
    urls: Value,
    log: Receiver<String>,
}

impl Served {
    /// Runs `serve` and waits until it serves.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(program().args(["serve", "--json"]).args(arguments))
    }

    /// The same with a command that ends up as `serve --json`.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (lines, log) = channel();
        // Read all the time, or the process would wait for room in the pipe.
        thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let urls = serde_json::from_str(&line);
        let urls = urls.unwrap_or_else(|_| panic!("{line:?}, {:?}", log.iter().collect::<Vec<_>>()));
        Self { child, urls, log }
    }

    /// Something of what it printed.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.urls[name].as_str().unwrap_or_else(|| panic!("{name} is not in {}", self.urls))
    }

    pub(crate) fn relay_url(&self) -> &str {
        self.text("relayUrl")
    }

    /// Host and port of its HTTP.
    pub(crate) fn authority(&self) -> &str {
        self.text("apiUrl").strip_prefix("http://").unwrap()
    }

    /// Sends it a signal, `-TERM`, say.
    pub(crate) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for a log line that contains `text`, and returns it.
    pub(crate) fn expect_log(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{text:?} is logged in time"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Ends it like a power cut, as far as the process is concerned.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; how that was, and what it logged since [`expect_log`](Self::expect_log).
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut log = Vec::new();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => log.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it ends in time; it logged {log:?}"),
            }
        }
        (self.child.wait().unwrap(), log.join("\n"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
