//! The engine's log: lines on standard error, for those whose `MEMLANE_LOG` asks for them.
//!
//! Events alone, no spans. Nothing is formatted, and no argument of an event looked at, unless its level is wanted:
//! `tracing` keeps that answer in a static beside each event. Never logged are payload and tokens; names and addresses
//! are, and since a stranger may have chosen them, whatever could steer a terminal is escaped.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    io::Write as _,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tracing::{
    Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::Interest,
};

/// What the targets of this crate's events begin with.
const CRATE: &str = "memlane_engine";
/// Characters of one value that are shown.
const VALUE_MOST: usize = 512;

/// Logs to standard error what `filter` wants, for as long as the process lives: `debug`, `warn,lane=trace`. Only the
/// first call of a process counts.
///
/// # Errors
/// The part of `filter` that is none, escaped.
pub fn start(filter: &str) -> Result<(), String> {
    let filter = Filter::parse(filter)?;
    // A second one is refused: the first stays.
    let _ = tracing::subscriber::set_global_default(Log { filter });
    Ok(())
}

/// A level for everything, and others for single rooms of the engine.
#[derive(Debug, PartialEq)]
struct Filter {
    all: LevelFilter,
    rooms: Vec<(String, LevelFilter)>,
}

impl Filter {
    fn parse(text: &str) -> Result<Self, String> {
        let mut filter = Self {
            all: LevelFilter::OFF,
            rooms: Vec::new(),
        };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (room, level) = part
                .split_once('=')
                .map_or((None, part), |(room, level)| (Some(room.trim()), level.trim()));
            let wrong = || {
                let mut shown = String::new();
                // Writing to a string does not fail.
                let _ = Escaped(&mut shown, VALUE_MOST).write_str(part);
                shown
            };
            let level = match level.to_ascii_lowercase().as_str() {
                "off" => LevelFilter::OFF,
                "error" => LevelFilter::ERROR,
                "warn" => LevelFilter::WARN,
                "info" => LevelFilter::INFO,
                "debug" => LevelFilter::DEBUG,
                "trace" => LevelFilter::TRACE,
                _ => return Err(wrong()),
            };
            match room {
                None => filter.all = level,
                Some("") => return Err(wrong()),
                Some(room) => filter.rooms.push((room.to_owned(), level)),
            }
        }
        // The longest name first: it says the most.
        filter.rooms.sort_by_key(|(room, _)| std::cmp::Reverse(room.len()));
        Ok(filter)
    }

    fn wants(&self, target: &str, level: &Level) -> bool {
        let Some(room) = room(target) else { return false };
        let is_in = |name: &str| {
            room.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let chosen = self.rooms.iter().find(|(name, _)| is_in(name)).map(|(_, level)| level);
        *level <= *chosen.unwrap_or(&self.all)
    }

    fn most(&self) -> LevelFilter {
        self.rooms
            .iter()
            .map(|(_, level)| *level)
            .fold(self.all, LevelFilter::max)
    }
}

/// The module below this crate that an event is in; `None` for those of other crates.
fn room(target: &str) -> Option<&str> {
    target.strip_prefix(CRATE).map(|room| room.trim_start_matches("::"))
}

struct Log {
    filter: Filter,
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.is_span() && self.filter.wants(metadata.target(), metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter.most())
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let metadata = event.metadata();
        let mut line = String::with_capacity(160);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let room = room(metadata.target()).unwrap_or_default();
        let _ = write!(line, "{} {:5} memlane::{room}", Stamp(now), metadata.level().as_str());
        event.record(&mut Line(&mut line));
        line.push('\n');
        // One call, so that lines of several threads do not mix; where nobody listens any more, nobody misses it.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The fields of an event, each escaped.
struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push(' ');
        if field.name() != "message" {
            self.0.push_str(field.name());
            self.0.push('=');
        }
        let _ = write!(Escaped(self.0, VALUE_MOST), "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// Takes text and leaves out what a terminal or a reader of lines would act on; and what is too long.
struct Escaped<'a>(&'a mut String, usize);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.1 == 0 {
                return Ok(());
            }
            self.1 -= 1;
            if self.1 == 0 {
                self.0.push('…');
            } else if steers(character) || character == '\\' {
                self.0.extend(character.escape_default());
            } else {
                self.0.push(character);
            }
        }
        Ok(())
    }
}

/// Control characters, line ends of Unicode, and what turns the direction of text around.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A time since 1970 as UTC.
struct Stamp(Duration);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.as_secs() / 86_400, self.0.as_secs() % 86_400);
        // Years that begin in March, so that the day of a leap year is the last; 146,097 days are 400 of them.
        let shifted = days + 719_468;
        let (era, day) = (shifted / 146_097, shifted % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let march = (5 * day + 2) / 153;
        let (month, day) = ((march + 2) % 12 + 1, day - (153 * march + 2) / 5 + 1);
        let year = era * 400 + year + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let millis = self.0.subsec_millis();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

/// Sources that are remembered; while all of them are fresh, others are not logged.
const SOURCES_MOST: usize = 1024;
const MINUTE: Duration = Duration::from_secs(60);
static COMPLAINTS: LazyLock<Mutex<HashMap<(String, &'static str), Instant>>> = LazyLock::new(Mutex::default);

/// Whether to log this about the host of `from`, which is `host:port`: once a minute, because strangers choose how often
/// it happens.
fn is_news(from: &str, what: &'static str) -> bool {
    let host = from.rsplit_once(':').map_or(from, |(host, _)| host);
    let mut complaints = COMPLAINTS.lock();
    let now = Instant::now();
    if complaints.len() >= SOURCES_MOST {
        complaints.retain(|_, since| now.duration_since(*since) < MINUTE);
    }
    let full = complaints.len() >= SOURCES_MOST;
    match complaints.entry((host.to_owned(), what)) {
        std::collections::hash_map::Entry::Occupied(mut entry) => {
            let is_over = now.duration_since(*entry.get()) >= MINUTE;
            if is_over {
                entry.insert(now);
            }
            is_over
        }
        std::collections::hash_map::Entry::Vacant(entry) => {
            if !full {
                entry.insert(now);
            }
            !full
        }
    }
}

/// What faults of peers stand under, wherever they are found.
const PEERS: &str = "memlane_engine::peers";

/// Logs what a stranger did wrong: at most once a minute for each host and kind of it.
pub(crate) fn complain(peer: impl fmt::Display, what: &'static str, why: &str) {
    if !tracing::enabled!(target: PEERS, Level::WARN) {
        return;
    }
    let peer = peer.to_string();
    if is_news(&peer, what) {
        tracing::warn!(target: PEERS, peer, why, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        Escaped(&mut out, VALUE_MOST).write_str(text).unwrap();
        out
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(escaped("kv/0 ä€"), "kv/0 ä€");
        assert_eq!(escaped("\x1b[2J\r\nfake line\u{7}"), "\\u{1b}[2J\\r\\nfake line\\u{7}");
        assert_eq!(escaped("\u{9b}\u{202e}\u{2028}\\n"), "\\u{9b}\\u{202e}\\u{2028}\\\\n");
        for byte in (0..32).chain(127..160) {
            let shown = escaped(&char::from(byte).to_string());
            assert!(shown.bytes().all(|byte| (32..127).contains(&byte)), "{byte}: {shown:?}");
        }
        assert_eq!(escaped(&"x".repeat(10_000)).chars().count(), VALUE_MOST);
    }

    #[test]
    fn a_filter_has_a_level_for_all_and_others_for_rooms() {
        let filter = Filter::parse("warn, lane=debug ,lane::read=off").unwrap();
        let wants = |target: &str, level| filter.wants(target, &level);
        assert!(wants("memlane_engine::session::input", Level::WARN));
        assert!(!wants("memlane_engine::session", Level::INFO));
        assert!(wants("memlane_engine::lane", Level::DEBUG));
        assert!(wants("memlane_engine::lane::write", Level::DEBUG));
        assert!(!wants("memlane_engine::lanes", Level::DEBUG));
        assert!(!wants("memlane_engine::lane::read", Level::ERROR));
        assert!(!wants("tokio::task", Level::ERROR));
        assert_eq!(filter.most(), LevelFilter::DEBUG);
        assert_eq!(Filter::parse("").unwrap().most(), LevelFilter::OFF);
        for (wrong, shown) in [
            ("loud", "loud"),
            ("info,=debug", "=debug"),
            ("lane=\x1b", "lane=\\u{1b}"),
        ] {
            assert_eq!(Filter::parse(wrong), Err(shown.into()));
        }
    }

    #[test]
    fn times_are_utc() {
        let stamp = |seconds, millis| Stamp(Duration::from_secs(seconds) + Duration::from_millis(millis)).to_string();
        assert_eq!(stamp(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(stamp(1_735_689_599, 999), "2024-12-31T23:59:59.999Z");
        assert_eq!(stamp(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_source_is_complained_about_once_a_minute_for_each_kind_of_fault() {
        assert!(is_news("192.0.2.1:1000", "a"));
        assert!(!is_news("192.0.2.1:1001", "a"));
        assert!(is_news("192.0.2.1:1002", "b"));
        assert!(is_news("192.0.2.2:1000", "a"));
    }
}
