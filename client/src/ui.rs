//! Our own talk: all of it to stderr, one spinner line on a terminal, plain lines elsewhere, nothing when quiet.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Advice;
use crate::openssh::audience::Audience;
use crate::session::terminal;

/// How a bar over bytes looks.
const BYTES: &str = "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";

/// Spinner frames per second are bounded by this; slower looks dead, faster costs.
const TICK: Duration = Duration::from_millis(100);
const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The only door to stderr. Clones are the same door.
#[derive(Clone, Debug)]
pub struct Ui {
    quiet: bool,
    spinner: Arc<Mutex<Option<ProgressBar>>>,
    on_terminal: bool,
    /// Who hears it instead of the reader of stderr.
    audience: Option<Audience>,
}

impl Ui {
    /// With `quiet`, only errors are said.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self { quiet, spinner: Arc::default(), on_terminal: std::io::stderr().is_terminal(), audience: None }
    }

    /// What is said goes to the proxies that are there, whose stderr is the user's.
    #[must_use]
    pub fn for_audience(quiet: bool, audience: Audience) -> Self {
        Self { quiet, spinner: Arc::default(), on_terminal: false, audience: Some(audience) }
    }

    /// Shows the phase we are in: replaces the spinner line on a terminal, adds a line elsewhere.
    pub fn phase(&self, text: &str) {
        if self.quiet {
            return;
        }
        if let Some(audience) = &self.audience {
            return audience.phase(text);
        }
        if !self.on_terminal {
            return self.line(text);
        }
        let mut spinner = self.lock();
        spinner.get_or_insert_with(new_spinner).set_message(text.to_owned());
    }

    /// A bar over bytes on a terminal, in place of the spinner line; nothing elsewhere.
    pub fn meter(&self) -> Meter {
        if self.quiet || !self.on_terminal {
            return Meter(None);
        }
        self.clear();
        let bar = ProgressBar::new(0);
        // The template is a constant; if it did not parse, the default style would do.
        if let Ok(style) = ProgressStyle::with_template(BYTES) {
            bar.set_style(style);
        }
        *self.lock() = Some(bar.clone());
        Meter(Some(bar))
    }

    /// Takes the spinner line away: from here on the terminal belongs to somebody else.
    pub fn clear(&self) {
        if let Some(spinner) = self.lock().take() {
            spinner.finish_and_clear();
        }
    }

    /// A line that stays.
    pub fn note(&self, text: &str) {
        match &self.audience {
            _ if self.quiet => {}
            Some(audience) => audience.note(text),
            None => self.line(text),
        }
    }

    /// Something the user should know even though the run goes on; said also when quiet.
    pub fn warn(&self, text: &str) {
        self.line(&format!("{WARNING}warning:{WARNING:#} {text}"));
    }

    /// An error and its hints; said also when quiet.
    pub fn error<E: std::error::Error + Advice>(&self, error: &E) {
        self.line(&render(error));
    }

    /// A line that was asked for by name, such as `--timings=json`: said also when quiet, never coloured.
    pub fn data(&self, text: &str) {
        self.line(text);
    }

    /// A question, which is answered behind it on the same line.
    pub fn prompt(&self, text: &str) {
        let mut stderr = anstream::stderr().lock();
        // A closed stderr leaves nobody to ask.
        let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
    }

    fn line(&self, text: &str) {
        if let Some(audience) = &self.audience {
            return audience.warn(text);
        }
        let write = || {
            // A closed stderr leaves nobody to tell.
            let _ = if terminal::is_raw() {
                // Amid a session's output, on a terminal whose lines need their carriage return.
                write!(anstream::stderr().lock(), "\r\n{}\r\n", text.replace('\n', "\r\n"))
            } else {
                writeln!(anstream::stderr().lock(), "{text}")
            };
        };
        match self.lock().as_ref() {
            Some(spinner) => spinner.suspend(write),
            None => write(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.spinner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Counts bytes that are moved and bytes that are known to come.
#[derive(Clone, Debug)]
pub struct Meter(Option<ProgressBar>);

impl Meter {
    /// So many bytes more are known to come.
    pub fn expect(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc_length(bytes);
        }
    }

    /// So many bytes more are moved.
    pub fn moved(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }
}

fn new_spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    // The template is a constant; if it did not parse, the default style would do.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(TICK);
    spinner
}

/// `error: ...` and its `hint: ...` lines, with colour that the stream may strip.
pub fn render<E: std::error::Error + Advice>(error: &E) -> String {
    let mut text = format!("{ERROR}error:{ERROR:#} {error}");
    for hint in error.hints() {
        text.push_str(&format!("\n{HINT}hint:{HINT:#} {hint}"));
    }
    text
}
