//! The architectures of Lambda, and the names that each tool has for them.

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
    /// The architecture of this machine, where Lambda has it.
    pub fn of_this_machine() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// As Lambda calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// As Linux and qemu call it.
    pub fn machine(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// The target that rustc compiles for.
    pub fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The target as it stands in the names of environment variables.
    pub fn triple_in_variables(self) -> String {
        self.triple().to_uppercase().replace('-', "_")
    }

    /// The toolchain host that runs in a container of this architecture.
    pub fn container_host(self) -> String {
        self.triple().replace("-musl", "-gnu")
    }

    /// As zig calls the target.
    pub fn zig_target(self) -> String {
        format!("{}-linux-musl", self.machine())
    }

    /// As container engines call it.
    pub fn platform(self) -> &'static str {
        match self {
            Self::X86_64 => "linux/amd64",
            Self::Arm64 => "linux/arm64",
        }
    }
}
