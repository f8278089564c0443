//! `chargen generate -i`: a person and the model write a text in turns.

use crate::commands::generate::{Choice, check_penalty, print, write};
use crate::generate::Writer;
use crate::prime;
use crate::run::Trained;
use rnn_core::Key;
use rnn_harness::input::read_line;
use rnn_harness::{Failure, say, write_file};
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Bytes of a line at most.
const LONGEST_LINE: u64 = 1 << 20;

const HELP: &str = "a line of text: the model goes on after it; an empty line: it goes on
/temperature T   /top-k K   /top-p P   /penalty R   how characters are chosen
/length N        characters at a time
/stop TEXT       end when the model has written this; /stop alone: no more
/seed N          restart the sampling with seed N
/reset           forget everything so far
/save FILE       write the whole text so far into FILE
/quit            end (Ctrl-D too)
//text           a line that begins with /";

/// The text so far and the settings.
pub struct Conversation<'a> {
    trained: &'a Trained,
    writer: Writer,
    choice: Choice,
    length: u64,
    stop: Vec<u32>,
    /// The whole text.
    text: String,
}

/// Whether a conversation goes on.
enum Next {
    Line,
    End,
}

impl<'a> Conversation<'a> {
    pub fn new(trained: &'a Trained, writer: Writer, choice: Choice, length: u64, stop: Vec<u32>) -> Self {
        Self { trained, writer, choice, length, stop, text: String::new() }
    }

    /// Begins with `ids` and takes lines from stdin to its end. What is wrong with a line is said, and the next one is
    /// awaited.
    ///
    /// # Errors
    /// A stdin or stdout that fails.
    pub fn run(mut self, ids: &[u32]) -> Result<(), Failure> {
        let asks = std::io::stdin().is_terminal();
        if asks {
            say!("write a line and the model goes on; /help lists what else there is");
        }
        if !ids.is_empty() {
            let begin: String = ids.iter().map(|&id| self.trained.vocabulary.decode(id)).collect();
            print(&begin)?;
            self.take(ids, &begin)?;
        }
        let mut bytes = Vec::new();
        loop {
            if asks {
                print("> ")?;
            }
            if !read_line(&mut std::io::stdin().lock(), &mut bytes, LONGEST_LINE)? {
                break;
            }
            let answer = match std::str::from_utf8(&bytes) {
                Ok(line) => self.line(line.trim_end_matches(['\n', '\r'])),
                Err(_) => Err(Failure::input("this line is not UTF-8; type it again")),
            };
            match answer {
                Ok(Next::Line) => {}
                Ok(Next::End) => break,
                Err(Failure::Input(wrong)) => say!("error: {wrong}"),
                Err(failure) => return Err(failure),
            }
        }
        if asks {
            writeln!(std::io::stdout())?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<Next, Failure> {
        let text = match line.strip_prefix('/') {
            None => line,
            Some(text) if text.starts_with('/') => text,
            Some(command) => return self.command(command),
        };
        if text.is_empty() {
            if self.writer.is_empty() {
                return Err(Failure::input("there is no text yet to go on from; write a line"));
            }
            return self.take(&[], "").map(|()| Next::Line);
        }
        let (text, ids) = prime::read("the line", text, self.trained.config.data.prepare, &self.trained.vocabulary)?;
        print(&text)?;
        self.take(&ids, &text).map(|()| Next::Line)
    }

    /// Reads `ids`, whose text is `text`, and goes on.
    fn take(&mut self, ids: &[u32], text: &str) -> Result<(), Failure> {
        self.writer.read(ids);
        self.text.push_str(text);
        self.text += &write(&mut self.writer, self.trained, self.length, &self.stop, true)?;
        writeln!(std::io::stdout())?;
        Ok(())
    }

    fn command(&mut self, command: &str) -> Result<Next, Failure> {
        let (name, value) = command.split_once(' ').unwrap_or((command, ""));
        let value = value.trim();
        let named = |name: &str| format!("/{name}");
        match name {
            "help" => println!("{HELP}"),
            "quit" => return Ok(Next::End),
            "reset" => {
                self.writer.forget();
                self.text.clear();
            }
            "save" if value.is_empty() => {
                return Err(Failure::input("/save needs the name of a file, as /save tale.txt"));
            }
            "save" => {
                write_file(Path::new(value), &self.text)?;
                say!("{} characters are in {value}", self.text.chars().count());
            }
            "temperature" => self.choose(Choice { temperature: number(name, value)?, ..self.choice })?,
            "top-k" => {
                let top_k = whole(name, value)?;
                self.choose(Choice { top_k: Some(top_k), ..self.choice })?;
            }
            "top-p" => self.choose(Choice { top_p: Some(number(name, value)?), ..self.choice })?,
            "penalty" => {
                let penalty = number(name, value)?;
                check_penalty(&named(name), penalty)?;
                self.writer.penalty = penalty;
            }
            "length" => self.length = whole(name, value)?,
            "seed" => {
                let seed = value.parse().map_err(|_| wrong(name, value, "a whole number such as 1"))?;
                self.writer.key = Key::new(seed);
            }
            "stop" if value.is_empty() => self.stop.clear(),
            "stop" => {
                let prepare = self.trained.config.data.prepare;
                self.stop = prime::read("/stop", value, prepare, &self.trained.vocabulary)?.1;
            }
            _ => return Err(Failure::input(format!("there is no /{name}; /help lists what there is"))),
        }
        Ok(Next::Line)
    }

    fn choose(&mut self, choice: Choice) -> Result<(), Failure> {
        self.writer.choice = choice.sampling(|name| format!("/{name}"))?;
        self.choice = choice;
        Ok(())
    }
}

fn wrong(name: &str, value: &str, right: &str) -> Failure {
    Failure::input(format!("/{name} {value:?} is not possible; give {right}"))
}

fn number(name: &str, value: &str) -> Result<f64, Failure> {
    value.parse().map_err(|_| wrong(name, value, "a number such as 0.8"))
}

fn whole(name: &str, value: &str) -> Result<u64, Failure> {
    value
        .parse()
        .ok()
        .filter(|n| (1..=1_000_000).contains(n))
        .ok_or_else(|| wrong(name, value, "a whole number from 1 to 1000000"))
}
