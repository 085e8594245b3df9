//! Rules that the clone's own files follow.

use std::fs;

use crate::machine::{make, root};

#[test]
#[ignore = "run by make test"]
fn help_lists_every_target_of_the_makefile() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: $(verbs) ")).unwrap();
    let targets = makefile.lines().find_map(|line| line.strip_prefix("verbs := ")).unwrap();
    let help = make(&["help"]).succeeded().stdout;
    for target in targets.split(' ').chain(phony.split(' ')) {
        assert!(help.contains(&format!("  make {target}: ")), "the help does not list {target}:\n{help}");
    }
}

#[test]
#[ignore = "run by make test"]
fn the_makefile_uses_no_feature_that_the_make_of_macos_lacks() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    // Features newer than make 3.81, which macOS has.
    let newer = ["$(file ", "!=", "::=", "$(let ", ".ONESHELL", "undefine ", "private ", "$(intcmp "];
    for feature in newer {
        assert!(!makefile.contains(feature), "{feature}");
    }
}
