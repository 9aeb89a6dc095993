//! Amounts of what an ECS container instance has and a task needs.
//!
//! Each amount is its own type, so that MiB can never be compared with CPU units. None has `Sub`: taking
//! more than there is must be handled where it happens, not wrap around.

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// An amount given in this type's unit.
            pub const fn new(amount: u32) -> Self {
                Self(amount)
            }

            /// The bare number, in this type's unit.
            pub const fn get(self) -> u32 {
                self.0
            }

            /// Both amounts together; stops at the largest amount rather than wrap.
            #[must_use]
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// What is left after taking `amount`; `None` when there is less than that.
            pub const fn checked_take(self, amount: Self) -> Option<Self> {
                match self.0.checked_sub(amount.0) {
                    Some(left) => Some(Self(left)),
                    None => None,
                }
            }

            /// What is left after taking `amount`; nothing when there is less than that.
            #[must_use]
            pub const fn saturating_take(self, amount: Self) -> Self {
                Self(self.0.saturating_sub(amount.0))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} {}", self.0, $unit)
            }
        }
    };
}

quantity!(
    /// CPU units of 1/1024 vCPU, as ECS counts them.
    CpuUnits,
    "CPU units"
);
quantity!(
    /// Memory in MiB.
    MemoryMib,
    "MiB"
);
quantity!(
    /// Whole GPU devices.
    GpuCount,
    "GPUs"
);
quantity!(
    /// Elastic network interfaces a task in `awsvpc` mode can use on an instance.
    EniCount,
    "ENIs"
);

quantity!(
    /// A length of time in whole seconds.
    Seconds,
    "s"
);

impl Seconds {
    /// The same length in milliseconds.
    pub const fn as_millis(self) -> u64 {
        (self.0 as u64).saturating_mul(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_more_than_there_is_is_a_value_and_not_a_panic() {
        assert_eq!(MemoryMib::new(5).checked_take(MemoryMib::new(6)), None);
        assert_eq!(
            MemoryMib::new(5).saturating_take(MemoryMib::new(6)),
            MemoryMib::ZERO
        );
        assert_eq!(
            CpuUnits::new(u32::MAX).saturating_add(CpuUnits::new(1)).get(),
            u32::MAX
        );
    }

    #[test]
    fn an_amount_prints_its_unit() {
        assert_eq!(MemoryMib::new(512).to_string(), "512 MiB");
    }
}
