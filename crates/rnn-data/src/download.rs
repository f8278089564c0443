//! Downloads: resumable, checked, under a temporary name until they are whole.

use crate::DataError;
use crate::registry::CorpusFile;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// How long a server may take to answer at all.
const ANSWER: Duration = Duration::from_millis(4500);
/// How long it may then pause.
const PAUSE: Duration = Duration::from_secs(30);

/// The SHA-256 of a file.
pub(crate) fn sha256(path: &Path) -> Result<String, DataError> {
    let mut file = File::open(path).map_err(|e| DataError::io(path, e))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(|e| DataError::io(path, e))? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether `path` is `file`: size first, then hash.
pub(crate) fn check(path: &Path, file: &CorpusFile) -> Result<(), DataError> {
    let bytes = path.metadata().map_err(|e| DataError::io(path, e))?.len();
    if bytes != file.bytes {
        let problem = format!("it has {bytes} bytes instead of {}; delete it to have it downloaded again", file.bytes);
        return Err(DataError::content(path, problem));
    }
    let found = sha256(path)?;
    if found != file.sha256 {
        let problem =
            format!("its SHA-256 is {found} instead of {}; delete it to have it downloaded again", file.sha256);
        return Err(DataError::content(path, problem));
    }
    Ok(())
}

/// What the thread that talks to the server says.
enum Message {
    /// The server answers; the body starts at this byte of the file.
    From(u64),
    Bytes(Vec<u8>),
    Failed(String),
}

/// Downloads `file` from its address to `target`. What has come goes to `target` with `.part` behind it, from where a
/// later call goes on; a whole file that is not the right one is deleted.
pub(crate) fn download(address: &str, file: &CorpusFile, target: &Path) -> Result<(), DataError> {
    let error = |problem, answered| DataError::Download { address: address.to_string(), problem, answered };
    let (unreachable, failed) = (|problem: String| error(problem, false), |problem: String| error(problem, true));
    let folder = target.parent().unwrap_or(Path::new("."));
    let mut part = target.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut have = part.metadata().map_or(0, |m| m.len());
    if have > file.bytes {
        have = 0;
    }
    if have < file.bytes {
        let (sender, messages) = sync_channel(16);
        let request = address.to_string();
        std::thread::spawn(move || talk(&request, have, &sender));
        let from = match messages.recv_timeout(ANSWER) {
            Ok(Message::From(from)) => from,
            Ok(Message::Failed(problem)) => return Err(unreachable(problem)),
            Ok(Message::Bytes(_)) | Err(_) => return Err(unreachable("no answer within 5 seconds".into())),
        };
        std::fs::create_dir_all(folder).map_err(|e| DataError::io(folder, e))?;
        let io = |e| DataError::io(&part, e);
        let mut out = File::options().create(true).append(true).open(&part).map_err(io)?;
        if from != have {
            out.set_len(from).map_err(io)?; // the server starts over
        }
        let bar = ProgressBar::new(file.bytes).with_position(from).with_message(address.to_string());
        bar.set_style(
            ProgressStyle::with_template("{msg} {bar:20} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
                .unwrap_or(ProgressStyle::default_bar()),
        );
        have = from;
        while have < file.bytes {
            let bytes = match messages.recv_timeout(PAUSE) {
                Ok(Message::Bytes(bytes)) => bytes,
                Ok(Message::Failed(problem)) => return Err(failed(stopped(have, file, &problem))),
                Ok(Message::From(_)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(failed(stopped(have, file, "the connection was closed")));
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(failed(stopped(have, file, "nothing came for 30 seconds")));
                }
            };
            have += bytes.len() as u64;
            out.write_all(&bytes).map_err(io)?;
            bar.set_position(have);
        }
        out.sync_all().map_err(io)?;
        bar.finish_and_clear();
    }
    if let Err(error) = check(&part, file) {
        std::fs::remove_file(&part).map_err(|e| DataError::io(&part, e))?;
        let problem = match error {
            DataError::Content { problem, .. } => problem.replace("; delete it to have it downloaded again", ""),
            other => other.to_string(),
        };
        return Err(failed(format!("what came is not the file that was asked for: {problem}; it was deleted")));
    }
    std::fs::rename(&part, target).map_err(|e| DataError::io(target, e))
}

fn stopped(have: u64, file: &CorpusFile, why: &str) -> String {
    format!("stopped at {have} of {} bytes ({why}); run the command again to go on from there", file.bytes)
}

/// Asks for the file from byte `have` on and passes on what comes. An error of `send` means that nobody waits any more.
fn talk(address: &str, have: u64, sender: &SyncSender<Message>) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.get(address);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(error) => return drop(sender.send(Message::Failed(error.to_string()))),
    };
    let from = match response.status().as_u16() {
        200 => 0,
        206 => have,
        status => return drop(sender.send(Message::Failed(format!("the server answers with status {status}")))),
    };
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    let mut message = Message::From(from);
    while sender.send(message).is_ok() {
        message = match body.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => Message::Bytes(buffer[..n].to_vec()),
            Err(error) => Message::Failed(error.to_string()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread::JoinHandle;
    use std::time::Instant;

    const CONTENT: &[u8] = b"abcdefghij";

    fn file(content: &[u8]) -> CorpusFile {
        let sha256 = Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect();
        CorpusFile { path: "x".into(), address: None, bytes: content.len() as u64, sha256 }
    }

    /// Answers one request with `head` and `body` and closes; returns the request's lines.
    fn server(head: &'static str, body: &'static [u8]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = format!("http://{}/x", listener.local_addr().expect("address"));
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("client");
            let lines = BufReader::new(stream.try_clone().expect("stream")).lines();
            let lines: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes()).expect("head");
            stream.write_all(body).expect("body");
            lines
        });
        (address, thread)
    }

    #[test]
    fn a_download_that_stopped_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("deeper/x");
        let (address, thread) = server("200 OK\r\nContent-Length: 10", b"abcd");
        let error = download(&address, &file(CONTENT), &target).expect_err("stopped");
        assert!(error.to_string().contains("stopped at 4 of 10 bytes"), "{error}");
        thread.join().expect("server");
        assert!(!target.exists());

        let (address, thread) = server("206 Partial Content\r\nContent-Length: 6", b"efghij");
        download(&address, &file(CONTENT), &target).expect("the rest");
        let lines = thread.join().expect("server");
        assert!(lines.iter().any(|line| line.eq_ignore_ascii_case("range: bytes=4-")), "{lines:?}");
        assert_eq!(std::fs::read(&target).expect("whole"), CONTENT);
        assert_eq!(std::fs::read_dir(target.parent().expect("parent")).expect("folder").count(), 1);
    }

    #[test]
    fn a_server_that_cannot_resume_starts_over() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("x");
        std::fs::write(folder.path().join("x.part"), b"old!").expect("written");
        let (address, thread) = server("200 OK\r\nContent-Length: 10", CONTENT);
        download(&address, &file(CONTENT), &target).expect("whole");
        thread.join().expect("server");
        assert_eq!(std::fs::read(&target).expect("whole"), CONTENT);
    }

    #[test]
    fn a_wrong_file_is_told_and_deleted() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("x");
        let (address, thread) = server("200 OK\r\nContent-Length: 10", b"ABCDEFGHIJ");
        let error = download(&address, &file(CONTENT), &target).expect_err("wrong").to_string();
        thread.join().expect("server");
        assert!(error.contains("its SHA-256 is") && error.ends_with("it was deleted"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }

    #[test]
    fn an_address_that_does_not_answer_costs_less_than_five_seconds() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("x");
        let listener = TcpListener::bind("127.0.0.1:0").expect("port"); // takes the call and says nothing
        let silent = format!("http://{}/x", listener.local_addr().expect("address"));
        let start = Instant::now();
        let error = download(&silent, &file(CONTENT), &target).expect_err("silence");
        assert!(error.to_string().ends_with("no answer within 5 seconds"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
        let (address, thread) = server("404 Not Found", b"");
        let error = download(&address, &file(CONTENT), &target).expect_err("404");
        thread.join().expect("server");
        assert!(error.to_string().ends_with("status 404"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }
}
