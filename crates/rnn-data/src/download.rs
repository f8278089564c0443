//! Downloads: resumable, checked, under a temporary name until complete. A lock on the partial file lets one download
//! at a time write it, across processes.

mod check;
mod part;

use crate::DataError;
use crate::registry::CorpusFile;
pub(crate) use check::check;
use check::fault;
use indicatif::{ProgressBar, ProgressStyle};
use part::Part;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// The longest wait for a server's answer.
const ANSWER: Duration = Duration::from_millis(4500);
/// The longest pause within an answer.
const PAUSE: Duration = Duration::from_secs(30);

/// What the download thread reports.
enum Message {
    /// The server answers; the body starts at this byte of the file.
    From(u64),
    Bytes(Vec<u8>),
    Failed(String),
}

/// Downloads `file` from its address to `target`. Received bytes go to `target` with the suffix `.part`, which a later
/// call resumes. A complete file with the wrong size or hash is deleted.
pub(crate) fn download(address: &str, file: &CorpusFile, target: &Path) -> Result<(), DataError> {
    let mut path = target.as_os_str().to_owned();
    path.push(".part");
    let path = PathBuf::from(path);
    let io = |e| DataError::io(&path, e);
    loop {
        let part = Part::lock(&path, false).map_err(io)?;
        if target.exists() {
            return check(target, file); // another download was first
        }
        if let Some(part) = fill(address, file, target, &path, part)? {
            return finish(address, file, target, &part);
        }
    }
}

/// Completes `part`, or a new partial file at `path`, to the size of `file`. `None` if another download was faster: the
/// caller looks again.
fn fill(
    address: &str,
    file: &CorpusFile,
    target: &Path,
    path: &Path,
    part: Option<Part>,
) -> Result<Option<Part>, DataError> {
    let error = |problem, answered| DataError::Download { address: address.to_string(), problem, answered };
    let (unreachable, failed) = (|problem: String| error(problem, false), |problem: String| error(problem, true));
    let io = |e| DataError::io(path, e);
    let bytes = part.as_ref().map_or(Ok(0), Part::bytes).map_err(io)?;
    if bytes == file.bytes && part.is_some() {
        return Ok(part);
    }
    let have = if bytes > file.bytes { 0 } else { bytes };
    let (sender, messages) = sync_channel(16);
    let request = address.to_string();
    std::thread::spawn(move || talk(&request, have, &sender));
    let from = match messages.recv_timeout(ANSWER) {
        Ok(Message::From(from)) => from,
        Ok(Message::Failed(problem)) => return Err(unreachable(problem)),
        Ok(Message::Bytes(_)) | Err(_) => return Err(unreachable("no answer within 5 seconds".into())),
    };
    // Created only after the server answers, so that a failed call leaves no file behind.
    let part = match part {
        Some(part) => part,
        None => {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).map_err(|e| DataError::io(folder, e))?;
            let Some(part) = Part::lock(path, true).map_err(io)? else { return Ok(None) };
            if target.exists() {
                std::fs::remove_file(path).map_err(io)?; // the one just made
                return Ok(None);
            }
            if part.bytes().map_err(io)? > 0 {
                return Ok(None);
            }
            part
        }
    };
    if from != bytes {
        part.file.set_len(from).map_err(io)?; // the server starts over
    }
    let bar = ProgressBar::new(file.bytes).with_position(from).with_message(address.to_string());
    bar.set_style(
        ProgressStyle::with_template("{msg} {bar:20} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            .unwrap_or(ProgressStyle::default_bar()),
    );
    let mut have = from;
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
        (&part.file).write_all(&bytes).map_err(io)?;
        bar.set_position(have);
    }
    part.file.sync_all().map_err(io)?;
    bar.finish_and_clear();
    Ok(Some(part))
}

/// Renames the complete `part` to its final name, or deletes it if it differs from `file`.
fn finish(address: &str, file: &CorpusFile, target: &Path, part: &Part) -> Result<(), DataError> {
    let io = |e| DataError::io(&part.path, e);
    if let Some(fault) = fault(&part.file, file).map_err(io)? {
        std::fs::remove_file(&part.path).map_err(io)?;
        let problem = format!("the downloaded file is not the expected one: {fault}; it was deleted");
        return Err(DataError::Download { address: address.to_string(), problem, answered: true });
    }
    std::fs::rename(&part.path, target).map_err(|e| DataError::io(target, e))
}

fn stopped(have: u64, file: &CorpusFile, why: &str) -> String {
    format!("stopped at {have} of {} bytes ({why}); run the command again to continue from there", file.bytes)
}

/// Requests the file from byte `have` on and sends on what arrives. An error of `send` means that the receiver is gone.
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
    use sha2::{Digest, Sha256};
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
        let listener = TcpListener::bind("127.0.0.1:0").expect("port"); // accepts and never answers
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

    /// Answers every request with the requested bytes of `content`, slowly, at most `most` of them in the first answer.
    /// Reports the requested ranges.
    fn patient_server(content: &'static [u8], most: usize) -> (String, std::sync::mpsc::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = format!("http://{}/x", listener.local_addr().expect("address"));
        let (sender, asked) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (mut stream, sender) = (stream.expect("client"), sender.clone());
                std::thread::spawn(move || {
                    let lines = BufReader::new(stream.try_clone().expect("stream")).lines();
                    let lines: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                    let range = lines.iter().find_map(|line| {
                        line.to_lowercase().strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok()
                    });
                    let from: usize = range.unwrap_or(0);
                    let _ = sender.send(from);
                    let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                        content.len() - from
                    );
                    let to = if number == 0 { most } else { content.len() };
                    // A client that already has the file hangs up.
                    let _ = stream.write_all(head.as_bytes());
                    for bytes in content[from..to].chunks(1000) {
                        let _ = stream.write_all(bytes);
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
            }
        });
        (address, asked)
    }

    fn many_bytes() -> &'static [u8] {
        (0..50_000u32).map(|i| (i % 251) as u8).collect::<Vec<u8>>().leak()
    }

    #[test]
    fn downloads_at_once_do_not_disturb_each_other() {
        let content = many_bytes();
        let (address, _asked) = patient_server(content, content.len());
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("deeper/x");
        std::thread::scope(|scope| {
            let all = || download(&address, &file(content), &target);
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(all)).collect();
            for thread in threads {
                thread.join().expect("no panic").expect("whole");
            }
        });
        assert!(std::fs::read(&target).expect("whole") == content);
        assert_eq!(std::fs::read_dir(target.parent().expect("parent")).expect("folder").count(), 1);
    }

    #[test]
    fn who_waits_for_a_download_takes_it_or_goes_on_with_it() {
        let content = many_bytes();
        for most in [content.len(), 20_000] {
            let (address, asked) = patient_server(content, most);
            let folder = tempfile::tempdir().expect("folder");
            let target = folder.path().join("x");
            let part = folder.path().join("x.part");
            std::thread::scope(|scope| {
                let first = scope.spawn(|| download(&address, &file(content), &target));
                while part.metadata().map_or(0, |part| part.len()) == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                download(&address, &file(content), &target).expect("whole");
                assert_eq!(first.join().expect("no panic").is_ok(), most == content.len());
            });
            assert!(std::fs::read(&target).expect("whole") == content);
            // The second client requests nothing, or what the first one left.
            let expected = if most == content.len() { vec![0] } else { vec![0, most] };
            assert_eq!(asked.try_iter().collect::<Vec<_>>(), expected);
            assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
        }
    }

    #[test]
    fn a_part_that_is_too_long_starts_over() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("x");
        std::fs::write(folder.path().join("x.part"), b"0123456789 and more").expect("written");
        let (address, thread) = server("200 OK\r\nContent-Length: 10", CONTENT);
        download(&address, &file(CONTENT), &target).expect("whole");
        thread.join().expect("server");
        assert_eq!(std::fs::read(&target).expect("whole"), CONTENT);
    }
}
