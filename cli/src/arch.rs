//! Lambda's architectures, and the names that each tool uses for them.

use clap::ValueEnum;

/// An architecture that Lambda runs functions on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Arch {
    #[default]
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "arm64")]
    Arm64,
}

impl Arch {
    /// The architecture of this machine, if Lambda supports it.
    pub fn of_this_machine() -> Option<Self> {
        Self::value_variants().iter().copied().find(|arch| arch.machine() == std::env::consts::ARCH)
    }

    fn choose(self, x86_64: &'static str, arm64: &'static str) -> &'static str {
        match self {
            Self::X86_64 => x86_64,
            Self::Arm64 => arm64,
        }
    }

    /// The name that Lambda uses.
    pub fn name(self) -> &'static str {
        self.choose("x86_64", "arm64")
    }

    /// The name that Linux and QEMU use.
    pub fn machine(self) -> &'static str {
        self.choose("x86_64", "aarch64")
    }

    /// The target that rustc compiles for.
    pub fn triple(self) -> &'static str {
        self.choose("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl")
    }

    /// The target in the form used in names of environment variables.
    pub fn triple_in_variables(self) -> String {
        self.triple().to_uppercase().replace('-', "_")
    }

    /// The name that container engines use.
    pub fn platform(self) -> &'static str {
        self.choose("linux/amd64", "linux/arm64")
    }
}
