//! How many bytes of all but tiny operations a lane has on the wire at once: a fixed number, unless the road is long. No I/O.
//!
//! A lane moves no more in one round trip than its window, and 4 MiB in 50 ms are 80 MB/s. So over a long road it grows, to
//! twice what came back during the shortest round trip: what the road and the kernel's buffers carry, and as much again to
//! find out whether they carry more. An answer behind a full window comes after two round trips rather than one, not later,
//! because a window that only makes answers late has not come back any faster.

use super::bulk::PIECE_BYTES;
use std::time::Duration;
use tokio::time::Instant;

/// Enough to keep both ends busy, few enough that a small operation's answer is not far behind.
const LEAST_BYTES: u64 = 4 * PIECE_BYTES as u64;

/// More than a gigabyte a second over 50 ms; a peer holds a header of 17 bytes for each piece of it.
const MOST_BYTES: u64 = 64 * PIECE_BYTES as u64;

/// Up to this the least fills any network: 2 GB/s. An answer on one machine may come late, but not every one so late.
const LONG: Duration = Duration::from_millis(2);

/// The window of one connection.
#[derive(Debug)]
pub(super) struct Window {
    bytes: u64,
    /// From a request to its answer, as short as it was.
    round_trip: Option<Duration>,
    sample: Option<Sample>,
}

/// A request whose answer is timed, one at a time.
#[derive(Debug)]
struct Sample {
    /// Its position in the outgoing stream.
    end: u64,
    at: Instant,
    /// Bytes that were on the wire when it went, its own included: all of them are answered when it is.
    outstanding: u64,
    /// Whether they were its own alone.
    alone: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            bytes: LEAST_BYTES,
            round_trip: None,
            sample: None,
        }
    }
}

impl Window {
    /// Whether more may be on the wire than these bytes.
    pub(super) fn has_room(&self, outstanding: u64) -> bool {
        outstanding < self.bytes
    }

    /// Whether they are more than any lane may have.
    pub(super) fn is_beyond_least(outstanding: u64) -> bool {
        outstanding >= LEAST_BYTES
    }

    /// A request that counts went out behind so many bytes.
    pub(super) fn sent(&mut self, end: u64, before: u64, len: u64) {
        if self.sample.is_none() {
            self.sample = Some(Sample {
                end,
                at: Instant::now(),
                outstanding: before + len,
                alone: before == 0,
            });
        }
    }

    /// The request that ends there was answered.
    pub(super) fn answered(&mut self, end: u64) {
        if let Some(sample) = self.sample.take_if(|sample| sample.end == end) {
            self.learn(&sample, sample.at.elapsed());
        }
    }

    fn learn(&mut self, sample: &Sample, took: Duration) {
        let took = took.max(Duration::from_micros(1));
        let known = self.round_trip.filter(|_| !sample.alone).unwrap_or(took);
        let round_trip = known.min(took);
        self.round_trip = Some(round_trip);
        let carried = u128::from(sample.outstanding) * round_trip.as_micros() / took.as_micros();
        let wanted = if round_trip < LONG {
            LEAST_BYTES
        } else {
            u64::try_from(2 * carried).map_or(MOST_BYTES, |bytes| bytes.clamp(LEAST_BYTES, MOST_BYTES))
        };
        // What went out before there was more to send says nothing against the window.
        if wanted > self.bytes || round_trip < LONG || 2 * sample.outstanding >= self.bytes {
            self.bytes = wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = PIECE_BYTES as u64;

    /// A road of so much round trip and so many bytes a second. A lane that always has work keeps the window full.
    struct Road {
        round_trip: Duration,
        rate: u64,
        window: Window,
        outstanding: u64,
        end: u64,
        /// When the last byte of what is on the wire will have been carried.
        free: Instant,
    }

    impl Road {
        fn new(round_trip_ms: u64, rate: u64) -> Self {
            Self {
                round_trip: Duration::from_millis(round_trip_ms),
                rate,
                window: Window::default(),
                outstanding: 0,
                end: 0,
                free: Instant::now(),
            }
        }

        /// Works for so many pieces; bytes a second, and how long the last answer took.
        async fn carry(&mut self, pieces: u64) -> (f64, Duration) {
            let begun = Instant::now();
            let mut on_wire = std::collections::VecDeque::new();
            let (mut left, mut latency) = (pieces, Duration::ZERO);
            while left > 0 || !on_wire.is_empty() {
                while left > 0 && self.window.has_room(self.outstanding) {
                    self.end += 17;
                    self.window.sent(self.end, self.outstanding, MIB);
                    self.outstanding += MIB;
                    self.free = self.free.max(Instant::now()) + Duration::from_secs_f64(MIB as f64 / self.rate as f64);
                    on_wire.push_back((self.end, Instant::now(), self.free + self.round_trip));
                    left -= 1;
                }
                let Some((end, sent, back)) = on_wire.pop_front() else {
                    break;
                };
                tokio::time::advance(back.saturating_duration_since(Instant::now())).await;
                latency = sent.elapsed();
                self.outstanding -= MIB;
                self.window.answered(end);
            }
            ((pieces * MIB) as f64 / begun.elapsed().as_secs_f64(), latency)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_road_is_filled_and_no_answer_waits_for_more_than_about_two_round_trips() {
        for (round_trip_ms, rate) in [
            (10, 400 << 20),
            (50, 400 << 20),
            (10, 1000 << 20),
            (50, 100 << 20),
            (200, 100 << 20),
        ] {
            let mut road = Road::new(round_trip_ms, rate);
            road.carry(512).await;
            let (reached, latency) = road.carry(1024).await;
            assert!(
                reached > 0.85 * rate as f64,
                "{round_trip_ms} ms, {rate} bytes/s: {reached}"
            );
            assert!(
                latency < 3 * road.round_trip,
                "{round_trip_ms} ms, {rate} bytes/s: {latency:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_long_road_the_window_stays_as_it_is() {
        for (round_trip_ms, rate) in [(0, 4000 << 20), (1, 4000 << 20), (1, 100 << 20)] {
            let mut road = Road::new(round_trip_ms, rate);
            road.carry(4096).await;
            assert!(!road.window.has_room(LEAST_BYTES), "{round_trip_ms} ms, {rate} bytes/s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_road_that_becomes_slow_gets_a_smaller_window() {
        let mut road = Road::new(50, 1000 << 20);
        road.carry(1024).await;
        assert!(road.window.has_room(32 * MIB));
        road.rate = 50 << 20;
        road.carry(1024).await;
        assert!(!road.window.has_room(12 * MIB));
    }
}
