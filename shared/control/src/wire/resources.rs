//! ECS `Resource` arrays, as `registeredResources` and `remainingResources` carry them.
//!
//! What an entry means is decided here once, for events as for answers to Describe calls.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Resource.html>

use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::resources::{HostPorts, Resources};

/// The largest amount of one resource: ECS's INTEGER has 32 bits and a sign.
pub const AMOUNT_MAX: u32 = 0x7fff_ffff;

/// Most names of unknown resources that are kept; the others are only counted.
const UNKNOWN_NAMES_MAX: usize = 8;
/// Longest part of an unknown name that is kept, in characters.
const UNKNOWN_NAME_CHARS_MAX: usize = 64;

/// Reads the entries of one Resource array, one by one, and then gives what they add up to.
///
/// Amounts of what Berth accounts for must be right, for they decide where tasks go. Everything else that ECS
/// may list, now or later, is counted and left out.
///
/// ```
/// use berth_control::wire::resources::ResourceReader;
///
/// let mut reader = ResourceReader::default();
/// reader.take_amount("CPU", 2048)?;
/// reader.take_amount("MEMORY", 3884)?;
/// reader.take_set("PORTS", ["22", "51678"])?;
/// let (resources, skipped) = reader.finish();
/// assert_eq!(resources.cpu.get(), 2048);
/// assert!(resources.ports_taken.tcp.contains(22));
/// assert!(skipped.is_empty());
/// # Ok::<(), berth_control::wire::resources::ResourceError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ResourceReader {
    cpu: Option<u32>,
    memory: Option<u32>,
    gpu: Option<u32>,
    tcp: Vec<u16>,
    udp: Vec<u16>,
    skipped: SkippedResources,
}

/// What a Resource array held that Berth has no use for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkippedResources {
    /// Names that Berth does not know, the first few of them and cut to a sane length.
    pub unknown_names: Vec<String>,
    /// How many entries had a name that Berth does not know.
    pub unknown_count: u32,
    /// How many port texts were no port numbers.
    pub invalid_ports: u32,
}

impl SkippedResources {
    /// Whether everything was understood.
    pub fn is_empty(&self) -> bool {
        self.unknown_count == 0 && self.invalid_ports == 0
    }

    /// Adds what another array held.
    pub fn add(&mut self, other: Self) {
        self.unknown_count = self.unknown_count.saturating_add(other.unknown_count);
        self.invalid_ports = self.invalid_ports.saturating_add(other.invalid_ports);
        for name in other.unknown_names {
            self.keep_name(name);
        }
    }

    fn count_unknown(&mut self, name: &str) {
        self.unknown_count = self.unknown_count.saturating_add(1);
        self.keep_name(name.chars().take(UNKNOWN_NAME_CHARS_MAX).collect());
    }

    fn keep_name(&mut self, name: String) {
        if self.unknown_names.len() < UNKNOWN_NAMES_MAX && !self.unknown_names.contains(&name) {
            self.unknown_names.push(name);
        }
    }
}

/// Why an entry of a Resource array cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// The amount is negative or larger than ECS's INTEGER.
    #[error("`{0}` is out of range: expected 0 to {AMOUNT_MAX}")]
    OutOfRange(i128),
    /// A set where there should be an amount.
    #[error("a set of texts is not an amount: expected type INTEGER, LONG or DOUBLE")]
    NotAnAmount,
    /// An amount where there should be a set.
    #[error("an amount is not a set of ports: expected type STRINGSET")]
    NotASet,
    /// The resource was there already, and which of the two is right cannot be known.
    #[error("listed twice")]
    ListedTwice,
}

/// The resources Berth accounts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Cpu,
    Memory,
    Gpu,
    TcpPorts,
    UdpPorts,
}

impl Known {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "CPU" => Some(Self::Cpu),
            "MEMORY" => Some(Self::Memory),
            "GPU" => Some(Self::Gpu),
            "PORTS" => Some(Self::TcpPorts),
            "PORTS_UDP" => Some(Self::UdpPorts),
            _ => None,
        }
    }
}

impl ResourceReader {
    /// Whether Berth accounts for a resource of this name.
    pub fn knows(name: &str) -> bool {
        Known::parse(name).is_some()
    }

    /// Takes an entry of type INTEGER, LONG or DOUBLE.
    ///
    /// # Errors
    /// When a resource Berth accounts for has an amount that cannot be.
    pub fn take_amount(&mut self, name: &str, amount: impl Into<i128>) -> Result<(), ResourceError> {
        let slot = match Known::parse(name) {
            Some(Known::Cpu) => &mut self.cpu,
            Some(Known::Memory) => &mut self.memory,
            Some(Known::Gpu) => &mut self.gpu,
            Some(Known::TcpPorts | Known::UdpPorts) => return Err(ResourceError::NotASet),
            None => {
                self.skipped.count_unknown(name);
                return Ok(());
            }
        };
        if slot.is_some() {
            return Err(ResourceError::ListedTwice);
        }
        let amount = amount.into();
        let in_range = u32::try_from(amount).ok().filter(|amount| *amount <= AMOUNT_MAX);
        *slot = Some(in_range.ok_or(ResourceError::OutOfRange(amount))?);
        Ok(())
    }

    /// Takes an entry of type STRINGSET: ports that are TAKEN, by number, or GPUs by their ids.
    ///
    /// # Errors
    /// When a resource Berth accounts for should have an amount instead.
    pub fn take_set<'t>(
        &mut self,
        name: &str,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Result<(), ResourceError> {
        match Known::parse(name) {
            Some(Known::TcpPorts) => take_ports(&mut self.tcp, &mut self.skipped, texts),
            Some(Known::UdpPorts) => take_ports(&mut self.udp, &mut self.skipped, texts),
            // The ids of GPUs do not matter for room, only how many there are.
            Some(Known::Gpu) => {
                let ids: std::collections::BTreeSet<&str> = texts.into_iter().collect();
                let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
                return self.take_amount(name, count);
            }
            Some(Known::Cpu | Known::Memory) => return Err(ResourceError::NotAnAmount),
            None => self.skipped.count_unknown(name),
        }
        Ok(())
    }

    /// The first of CPU and MEMORY that no entry named. Every instance that can run tasks has both.
    pub fn missing(&self) -> Option<&'static str> {
        match (self.cpu, self.memory) {
            (None, _) => Some("CPU"),
            (_, None) => Some("MEMORY"),
            (Some(_), Some(_)) => None,
        }
    }

    /// What the entries add up to; what no entry named is zero.
    pub fn finish(self) -> (Resources, SkippedResources) {
        let resources = Resources {
            cpu: CpuUnits::new(self.cpu.unwrap_or(0)),
            memory: MemoryMib::new(self.memory.unwrap_or(0)),
            gpu: GpuCount::new(self.gpu.unwrap_or(0)),
            ports_taken: HostPorts {
                tcp: self.tcp.into_iter().collect(),
                udp: self.udp.into_iter().collect(),
            },
        };
        (resources, self.skipped)
    }
}

fn take_ports<'t>(
    ports: &mut Vec<u16>,
    skipped: &mut SkippedResources,
    texts: impl IntoIterator<Item = &'t str>,
) {
    for text in texts {
        match text.parse::<u16>() {
            Ok(port) if port > 0 => ports.push(port),
            _ => skipped.invalid_ports = skipped.invalid_ports.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_without_cpu_or_memory_says_which_is_missing() {
        let mut reader = ResourceReader::default();
        assert_eq!(reader.missing(), Some("CPU"));
        reader.take_amount("CPU", 1024).unwrap();
        assert_eq!(reader.missing(), Some("MEMORY"));
        reader.take_amount("MEMORY", 0).unwrap();
        assert_eq!(reader.missing(), None);
    }

    #[test]
    fn amounts_that_cannot_be_are_refused_and_the_largest_one_is_not() {
        let take = |amount: i128| ResourceReader::default().take_amount("MEMORY", amount);
        assert_eq!(take(AMOUNT_MAX.into()), Ok(()));
        for bad in [-1, i128::from(AMOUNT_MAX) + 1, i64::MIN.into(), i128::MAX] {
            assert_eq!(take(bad), Err(ResourceError::OutOfRange(bad)));
        }
        let mut twice = ResourceReader::default();
        twice.take_amount("CPU", 1).unwrap();
        assert_eq!(twice.take_amount("CPU", 1), Err(ResourceError::ListedTwice));
    }

    #[test]
    fn gpus_are_counted_by_id_or_by_number() {
        let mut by_id = ResourceReader::default();
        by_id.take_set("GPU", ["GPU-a", "GPU-b", "GPU-a"]).unwrap();
        assert_eq!(by_id.finish().0.gpu, GpuCount::new(2));
        let mut by_number = ResourceReader::default();
        by_number.take_amount("GPU", 4).unwrap();
        assert_eq!(by_number.finish().0.gpu, GpuCount::new(4));
    }

    #[test]
    fn ports_keep_their_protocol_and_texts_that_are_no_ports_are_counted() {
        let mut reader = ResourceReader::default();
        reader
            .take_set("PORTS", ["8080", "22", "0", "65536", "http", "-1", ""])
            .unwrap();
        reader.take_set("PORTS_UDP", ["53"]).unwrap();
        let (resources, skipped) = reader.finish();
        assert_eq!(resources.ports_taken.tcp.iter().collect::<Vec<_>>(), [22, 8080]);
        assert_eq!(resources.ports_taken.udp.iter().collect::<Vec<_>>(), [53]);
        assert_eq!(
            skipped,
            SkippedResources {
                invalid_ports: 5,
                ..SkippedResources::default()
            }
        );
    }

    #[test]
    fn the_kind_of_a_known_resource_must_be_right() {
        let mut reader = ResourceReader::default();
        assert_eq!(reader.take_set("CPU", ["1"]), Err(ResourceError::NotAnAmount));
        assert_eq!(reader.take_amount("PORTS", 22), Err(ResourceError::NotASet));
    }

    #[test]
    fn unknown_resources_are_counted_and_their_names_kept_within_bounds() {
        let mut reader = ResourceReader::default();
        for number in 0..100 {
            reader.take_amount(&format!("QUBITS_{number}"), -5).unwrap();
        }
        reader.take_set(&"X".repeat(10_000), ["a"]).unwrap();
        let (_, skipped) = reader.finish();
        assert_eq!(
            (skipped.unknown_count, skipped.unknown_names.len()),
            (101, UNKNOWN_NAMES_MAX)
        );
        let mut both = skipped.clone();
        both.add(skipped);
        assert_eq!(
            (both.unknown_count, both.unknown_names.len()),
            (202, UNKNOWN_NAMES_MAX)
        );
        let mut long = ResourceReader::default();
        long.take_amount(&"X".repeat(10_000), 1).unwrap();
        assert_eq!(
            long.finish().1.unknown_names,
            ["X".repeat(UNKNOWN_NAME_CHARS_MAX)]
        );
    }
}
