//! The countable part of a demand or a room as four numbers side by side, for the loops that look at
//! thousands of instances.

use crate::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use crate::resources::{Demand, EniRoom, HostPorts, Resources, Room};

/// Stands for a limit that is not known, and never refuses.
const ENI_UNKNOWN: u32 = u32::MAX;

/// CPU units, MiB, GPUs and ENIs, each needed or free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) cpu: u32,
    pub(super) memory: u32,
    pub(super) gpu: u32,
    pub(super) eni: u32,
}

impl Amounts {
    pub(super) fn of_demand(demand: &Demand) -> Self {
        Self {
            cpu: demand.cpu.get(),
            memory: demand.memory.get(),
            gpu: demand.gpu.get(),
            eni: demand.eni.get(),
        }
    }

    pub(super) fn of_room(room: &Room) -> Self {
        Self {
            cpu: room.cpu.get(),
            memory: room.memory.get(),
            gpu: room.gpu.get(),
            eni: match room.eni {
                EniRoom::Limited(free) => free.get(),
                EniRoom::Unknown => ENI_UNKNOWN,
            },
        }
    }

    /// All that an instance has.
    pub(super) fn registered(registered: &Resources, eni_limit: Option<EniCount>) -> Self {
        Self {
            cpu: registered.cpu.get(),
            memory: registered.memory.get(),
            gpu: registered.gpu.get(),
            eni: eni_limit.map_or(ENI_UNKNOWN, EniCount::get),
        }
    }

    /// These amounts as a room again, with these ports taken.
    pub(super) fn to_room(self, ports_taken: HostPorts) -> Room {
        Room {
            cpu: CpuUnits::new(self.cpu),
            memory: MemoryMib::new(self.memory),
            gpu: GpuCount::new(self.gpu),
            eni: match self.eni {
                ENI_UNKNOWN => EniRoom::Unknown,
                free => EniRoom::Limited(EniCount::new(free)),
            },
            ports_taken,
        }
    }

    #[inline]
    pub(super) fn each(self) -> [u32; 4] {
        [self.cpu, self.memory, self.gpu, self.eni]
    }

    /// Whether `demand` fits in these free amounts; what [`crate::resources::fits`] says of all but ports.
    #[inline]
    pub(super) fn cover(self, demand: Self) -> bool {
        (self.cpu >= demand.cpu)
            & (self.memory >= demand.memory)
            & (self.gpu >= demand.gpu)
            & (self.eni >= demand.eni)
    }

    /// What of this demand is missing in `room`.
    #[inline]
    pub(super) fn missing(self, room: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(room.cpu),
            memory: self.memory.saturating_sub(room.memory),
            gpu: self.gpu.saturating_sub(room.gpu),
            eni: self.eni.saturating_sub(room.eni),
        }
    }

    /// What is left of these free amounts after taking `demand`.
    #[inline]
    pub(super) fn left_after(self, demand: Self) -> Self {
        let eni = if self.eni == ENI_UNKNOWN {
            ENI_UNKNOWN
        } else {
            self.eni.saturating_sub(demand.eni)
        };
        Self {
            eni,
            ..self.missing(demand)
        }
    }

    /// These free amounts with those given back.
    pub(super) fn and(self, given_back: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(given_back.cpu),
            memory: self.memory.saturating_add(given_back.memory),
            gpu: self.gpu.saturating_add(given_back.gpu),
            eni: self.eni.saturating_add(given_back.eni),
        }
    }

    /// What of this demand is missing in `room`, in parts of 2^16 of what is needed, added up.
    pub(super) fn shares_missing(self, room: Self) -> u64 {
        let missing = self.missing(room).each().into_iter().zip(self.each());
        missing.fold(0, |sum: u64, (missing, needed)| {
            let share = (u64::from(missing) << 16).checked_div(u64::from(needed));
            sum.saturating_add(share.unwrap_or(0))
        })
    }

    /// The larger of each.
    #[inline]
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
            gpu: self.gpu.max(other.gpu),
            eni: self.eni.max(other.eni),
        }
    }

    /// The largest of each.
    pub(super) fn max_of(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::default(), Self::max)
    }

    /// The largest of each in `rest`, from which `removed` was taken away; `max` was the largest with it.
    /// What is not known or nothing is the same almost everywhere: it is not looked for again.
    pub(super) fn max_without(removed: Self, max: Self, rest: &[Self]) -> Self {
        let touched = |removed: u32, max: u32| {
            if removed == max && max < ENI_UNKNOWN {
                max
            } else {
                0
            }
        };
        let touched = Self {
            cpu: touched(removed.cpu, max.cpu),
            memory: touched(removed.memory, max.memory),
            gpu: touched(removed.gpu, max.gpu),
            eni: touched(removed.eni, max.eni),
        };
        // Often there is another one as large, or it was not among the largest.
        if touched == Self::default() || rest.iter().any(|amounts| amounts.cover(touched)) {
            return max;
        }
        Self::max_of(rest.iter().copied())
    }
}
