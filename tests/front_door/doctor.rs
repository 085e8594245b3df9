//! `make doctor`: what the machine lacks and the command that installs it.

use std::path::Path;

use crate::machine::{command, programs_without, root, run, write_program};

/// Package managers, each with its command that installs Python.
const MANAGERS: [(&str, &str); 4] = [
    ("apt-get", "apt-get install -y python3 python3-pip\n"),
    ("dnf", "dnf install -y python3 python3-pip\n"),
    ("apk", "apk add py3-pip python3\n"),
    ("pacman", "pacman -S --needed --noconfirm python python-pip\n"),
];

/// Fills a directory for `PATH` without Python and with one package manager. The manager and `sudo` only create the `ran` file.
fn without_python(manager: &str, programs: &Path) {
    let managers = MANAGERS.map(|(program, _)| program);
    programs_without(&[&managers[..], &["python3", "brew", "sudo"]].concat(), programs);
    let ran = format!(": >'{}'", programs.join("ran").display());
    write_program(&programs.join(manager), &ran);
    write_program(&programs.join("sudo"), &ran);
}

#[test]
#[ignore = "run by make test"]
fn doctor_reports_missing_programs_with_the_command_that_installs_them() {
    for (manager, install) in MANAGERS {
        let directory = tempfile::tempdir().unwrap();
        without_python(manager, directory.path());
        let mut doctor = command("make", root());
        doctor.arg("doctor").env("PATH", directory.path());
        let output = run(doctor).failed_with(&["FIX=1"]);
        assert!(output.stdout.contains("build: this machine lacks python3; pip for python3\n"), "{}", output.stdout);
        assert!(output.stdout.contains(install), "{}", output.stdout);
        assert!(!directory.path().join("ran").exists());
    }
}

#[test]
#[ignore = "run by make test"]
fn without_a_terminal_doctor_installs_only_with_yes() {
    let directory = tempfile::tempdir().unwrap();
    without_python("apt-get", directory.path());
    let doctor = |agreed: &[&str]| {
        let mut doctor = command("make", root());
        doctor.args(["doctor", "FIX=1"]).args(agreed).env("PATH", directory.path());
        run(doctor)
    };
    doctor(&[]).failed_with(&["nothing was run", "YES=1"]);
    assert!(!directory.path().join("ran").exists());
    doctor(&["YES=1"]).succeeded();
    assert!(directory.path().join("ran").exists());
}
