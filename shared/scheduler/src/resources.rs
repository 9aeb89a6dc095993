//! What a task needs, what an instance has free, and the one rule whether the first fits the second.

use crate::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};

/// Most host ports one instance can have reserved, TCP and UDP and the agent's own together.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html>
pub const HOST_PORTS_MAX: usize = 100;

/// A set of port numbers of one protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSet(Vec<u16>);

impl PortSet {
    /// The empty set.
    pub const EMPTY: Self = Self(Vec::new());

    /// Whether the port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        self.0.binary_search(&port).is_ok()
    }

    /// How many ports the set has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set has no port.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ports in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }

    /// Adds the ports of `other`.
    pub fn insert_all(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.0.extend_from_slice(&other.0);
        self.0.sort_unstable();
        self.0.dedup();
    }

    /// Whether all its ports are in the other set.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|port| other.contains(port))
    }

    /// The ports that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.iter().filter(|port| other.contains(*port)).collect()
    }

    /// The ports that are not in the other set.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.iter().filter(|port| !other.contains(*port)).collect()
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut ports: Vec<u16> = ports.into_iter().collect();
        ports.sort_unstable();
        ports.dedup();
        Self(ports)
    }
}

/// Host ports by protocol: TCP 53 and UDP 53 are different ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPorts {
    /// TCP ports.
    pub tcp: PortSet,
    /// UDP ports.
    pub udp: PortSet,
}

impl HostPorts {
    /// No port of either protocol.
    pub const NONE: Self = Self {
        tcp: PortSet::EMPTY,
        udp: PortSet::EMPTY,
    };

    /// How many ports there are of both protocols.
    pub fn len(&self) -> usize {
        self.tcp.len().saturating_add(self.udp.len())
    }

    /// Whether there is no port.
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.udp.is_empty()
    }

    /// The ports that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            tcp: self.tcp.intersection(&other.tcp),
            udp: self.udp.intersection(&other.udp),
        }
    }

    /// The ports that are not among the others.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            tcp: self.tcp.without(&other.tcp),
            udp: self.udp.without(&other.udp),
        }
    }

    /// Adds the ports of `other`.
    pub fn insert_all(&mut self, other: &Self) {
        self.tcp.insert_all(&other.tcp);
        self.udp.insert_all(&other.udp);
    }
}

/// What one task takes from its instance, as ECS counts it when it places the task.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Demand {
    /// CPU units of 1/1024 vCPU.
    pub cpu: CpuUnits,
    /// Memory in MiB.
    pub memory: MemoryMib,
    /// Whole GPU devices.
    pub gpu: GpuCount,
    /// Network interfaces: 1 in `awsvpc` mode, else 0.
    pub eni: EniCount,
    /// Fixed host ports.
    pub ports: HostPorts,
}

/// The resources ECS reports of an instance, registered or remaining.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU units of 1/1024 vCPU.
    pub cpu: CpuUnits,
    /// Memory in MiB.
    pub memory: MemoryMib,
    /// Whole GPU devices.
    pub gpu: GpuCount,
    /// Host ports that are TAKEN: ECS lists in `PORTS` and `PORTS_UDP` what can no longer be used, in the
    /// registered resources (the agent's own) as in the remaining ones.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Resource.html>
    pub ports_taken: HostPorts,
}

/// Free network interfaces of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EniRoom {
    /// This many more tasks in `awsvpc` mode fit.
    Limited(EniCount),
    /// The instance type's limit is not known; ECS has the last word.
    Unknown,
}

/// What is free on one instance at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// CPU units of 1/1024 vCPU.
    pub cpu: CpuUnits,
    /// Memory in MiB.
    pub memory: MemoryMib,
    /// Whole GPU devices.
    pub gpu: GpuCount,
    /// Network interfaces.
    pub eni: EniRoom,
    /// Host ports that are taken.
    pub ports_taken: HostPorts,
}

impl Room {
    /// Nothing free at all.
    pub const NONE: Self = Self {
        cpu: CpuUnits::ZERO,
        memory: MemoryMib::ZERO,
        gpu: GpuCount::ZERO,
        eni: EniRoom::Limited(EniCount::ZERO),
        ports_taken: HostPorts::NONE,
    };

    /// Whether whatever fits `other` fits here, too.
    pub fn includes(&self, other: &Self) -> bool {
        let interfaces = match (self.eni, other.eni) {
            (EniRoom::Limited(own), EniRoom::Limited(others)) => own >= others,
            (own, others) => own == others,
        };
        interfaces
            && self.cpu >= other.cpu
            && self.memory >= other.memory
            && self.gpu >= other.gpu
            && self.ports_taken.tcp.is_subset(&other.ports_taken.tcp)
            && self.ports_taken.udp.is_subset(&other.ports_taken.udp)
    }

    /// The room left when `demand` is placed here.
    ///
    /// # Errors
    /// The [`Shortfall`] when it does not fit.
    pub fn take(&self, demand: &Demand) -> Result<Self, Shortfall> {
        fits(demand, self)?;
        let mut ports_taken = self.ports_taken.clone();
        ports_taken.insert_all(&demand.ports);
        Ok(Self {
            cpu: self.cpu.saturating_take(demand.cpu),
            memory: self.memory.saturating_take(demand.memory),
            gpu: self.gpu.saturating_take(demand.gpu),
            eni: match self.eni {
                EniRoom::Limited(free) => EniRoom::Limited(free.saturating_take(demand.eni)),
                EniRoom::Unknown => EniRoom::Unknown,
            },
            ports_taken,
        })
    }
}

/// One dimension in which a demand does not fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShortDimension {
    /// Too few CPU units.
    Cpu {
        /// What the task needs.
        needed: CpuUnits,
        /// What is free.
        remaining: CpuUnits,
    },
    /// Too little memory.
    Memory {
        /// What the task needs.
        needed: MemoryMib,
        /// What is free.
        remaining: MemoryMib,
    },
    /// Too few GPUs.
    Gpu {
        /// What the task needs.
        needed: GpuCount,
        /// What is free.
        remaining: GpuCount,
    },
    /// Too few network interfaces.
    Eni {
        /// What the task needs.
        needed: EniCount,
        /// What is free.
        remaining: EniCount,
    },
    /// Host ports of the task that are taken already.
    Ports {
        /// The ports in conflict.
        taken: HostPorts,
    },
    /// The instance's limit of [`HOST_PORTS_MAX`] reserved host ports would be passed.
    PortLimit {
        /// How many ports the task needs.
        needed: usize,
        /// How many more can be reserved.
        remaining: usize,
    },
}

/// Every dimension in which a demand does not fit an instance; never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shortfall(Vec<ShortDimension>);

impl Shortfall {
    /// A shortfall that was recorded; `None` when no dimension is short.
    pub fn recorded(dimensions: Vec<ShortDimension>) -> Option<Self> {
        (!dimensions.is_empty()).then_some(Self(dimensions))
    }

    /// The short dimensions, in the order CPU, memory, GPU, ENI, ports.
    pub fn dimensions(&self) -> &[ShortDimension] {
        &self.0
    }
}

impl std::fmt::Display for ShortDimension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu { needed, remaining } => write!(f, "cpu: needs {needed}, {} free", remaining.get()),
            Self::Memory { needed, remaining } => {
                write!(f, "memory: needs {needed}, {} free", remaining.get())
            }
            Self::Gpu { needed, remaining } => write!(f, "gpu: needs {needed}, {} free", remaining.get()),
            Self::Eni { needed, remaining } => write!(f, "eni: needs {needed}, {} free", remaining.get()),
            Self::Ports { taken } => {
                f.write_str("ports taken:")?;
                for port in taken.tcp.iter() {
                    write!(f, " {port}/tcp")?;
                }
                for port in taken.udp.iter() {
                    write!(f, " {port}/udp")?;
                }
                Ok(())
            }
            Self::PortLimit { needed, remaining } => {
                write!(f, "ports: needs {needed}, {remaining} of {HOST_PORTS_MAX} left")
            }
        }
    }
}

impl std::fmt::Display for Shortfall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, dimension) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{dimension}")?;
        }
        Ok(())
    }
}

/// Whether `demand` fits `room`: the one rule, for choosing an instance, for reserving on it, for the
/// simulated ECS and for the explanation.
///
/// # Errors
/// Every dimension that is short, not only the first.
///
/// ```
/// use berth_scheduler::quantity::MemoryMib;
/// use berth_scheduler::resources::{Demand, Room, fits};
///
/// let demand = Demand { memory: MemoryMib::new(100), ..Demand::default() };
/// let room = Room { memory: MemoryMib::new(12), ..Room::NONE };
/// assert_eq!(fits(&demand, &room).unwrap_err().to_string(), "memory: needs 100 MiB, 12 free");
/// ```
pub fn fits(demand: &Demand, room: &Room) -> Result<(), Shortfall> {
    if demand.cpu <= room.cpu
        && demand.memory <= room.memory
        && demand.gpu <= room.gpu
        && demand.ports.is_empty()
        && demand.eni == EniCount::ZERO
    {
        return Ok(());
    }
    let short = short_dimensions(demand, room);
    if short.is_empty() {
        Ok(())
    } else {
        Err(Shortfall(short))
    }
}

fn short_dimensions(demand: &Demand, room: &Room) -> Vec<ShortDimension> {
    let mut short = Vec::new();
    if demand.cpu > room.cpu {
        short.push(ShortDimension::Cpu {
            needed: demand.cpu,
            remaining: room.cpu,
        });
    }
    if demand.memory > room.memory {
        short.push(ShortDimension::Memory {
            needed: demand.memory,
            remaining: room.memory,
        });
    }
    if demand.gpu > room.gpu {
        short.push(ShortDimension::Gpu {
            needed: demand.gpu,
            remaining: room.gpu,
        });
    }
    if let EniRoom::Limited(free) = room.eni
        && demand.eni > free
    {
        short.push(ShortDimension::Eni {
            needed: demand.eni,
            remaining: free,
        });
    }
    short.extend(ports_short(&demand.ports, &room.ports_taken));
    short
}

/// Whether these host ports can still be reserved: the part of [`fits`] that is about ports.
pub fn ports_short(needed: &HostPorts, ports_taken: &HostPorts) -> Option<ShortDimension> {
    if needed.is_empty() {
        return None;
    }
    let taken = needed.intersection(ports_taken);
    if !taken.is_empty() {
        return Some(ShortDimension::Ports { taken });
    }
    let remaining = HOST_PORTS_MAX.saturating_sub(ports_taken.len());
    (needed.len() > remaining).then_some(ShortDimension::PortLimit {
        needed: needed.len(),
        remaining,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        Room {
            cpu: CpuUnits::new(1024),
            memory: MemoryMib::new(512),
            gpu: GpuCount::new(1),
            eni: EniRoom::Limited(EniCount::new(1)),
            ports_taken: HostPorts {
                tcp: [22, 8080].into_iter().collect(),
                udp: PortSet::EMPTY,
            },
        }
    }

    #[test]
    fn a_demand_of_exactly_what_is_free_fits() {
        let demand = Demand {
            cpu: CpuUnits::new(1024),
            memory: MemoryMib::new(512),
            gpu: GpuCount::new(1),
            eni: EniCount::new(1),
            ports: HostPorts {
                tcp: [80].into_iter().collect(),
                udp: [8080].into_iter().collect(),
            },
        };
        let left = room().take(&demand).unwrap();
        assert_eq!(
            (left.cpu, left.memory, left.gpu),
            (CpuUnits::ZERO, MemoryMib::ZERO, GpuCount::ZERO)
        );
        assert!(left.ports_taken.tcp.contains(80) && left.ports_taken.udp.contains(8080));
        assert!(left.take(&demand).is_err());
    }

    #[test]
    fn a_shortfall_names_every_short_dimension() {
        let demand = Demand {
            cpu: CpuUnits::new(2048),
            memory: MemoryMib::new(513),
            gpu: GpuCount::new(2),
            eni: EniCount::new(2),
            ports: HostPorts {
                tcp: [8080, 9000].into_iter().collect(),
                udp: PortSet::EMPTY,
            },
        };
        assert_eq!(
            fits(&demand, &room()).unwrap_err().to_string(),
            "cpu: needs 2048 CPU units, 1024 free; memory: needs 513 MiB, 512 free; gpu: needs 2 GPUs, 1 free; \
             eni: needs 2 ENIs, 1 free; ports taken: 8080/tcp"
        );
    }

    #[test]
    fn an_instance_reserves_no_more_than_a_hundred_host_ports() {
        let mut room = room();
        room.ports_taken.tcp = (1000..1099).collect();
        let one = Demand {
            ports: HostPorts {
                tcp: [80].into_iter().collect(),
                udp: PortSet::EMPTY,
            },
            ..Demand::default()
        };
        let room = room.take(&one).unwrap();
        let next = Demand {
            ports: HostPorts {
                tcp: [81].into_iter().collect(),
                udp: PortSet::EMPTY,
            },
            ..Demand::default()
        };
        assert_eq!(
            fits(&next, &room).unwrap_err().dimensions(),
            [ShortDimension::PortLimit {
                needed: 1,
                remaining: 0
            }]
        );
    }

    #[test]
    fn an_unknown_interface_limit_refuses_nothing() {
        let room = Room {
            eni: EniRoom::Unknown,
            ..room()
        };
        assert!(
            fits(
                &Demand {
                    eni: EniCount::new(1),
                    ..Demand::default()
                },
                &room
            )
            .is_ok()
        );
    }
}
