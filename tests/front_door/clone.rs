//! What the clone says of itself and holds to.

use std::fs;

use crate::machine::{call, make, names, root};

#[test]
#[ignore = "through make"]
fn help_lists_every_verb_of_the_makefile() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let phony = makefile
        .lines()
        .find_map(|line| line.strip_prefix(".PHONY: $(verbs) "))
        .unwrap();
    let verbs = makefile
        .lines()
        .find_map(|line| line.strip_prefix("verbs := "))
        .unwrap();
    let help = make(&["help"]).succeeded().stdout;
    for verb in verbs.split(' ').chain(phony.split(' ')) {
        assert!(
            help.contains(&format!("  make {verb}: ")),
            "{verb} is not in:\n{help}"
        );
    }
}

#[test]
#[ignore = "through make"]
fn the_makefile_needs_no_make_that_is_newer_than_that_of_macos() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    // What came after 3.81.
    let newer = [
        "$(file ",
        "!=",
        "::=",
        "$(let ",
        ".ONESHELL",
        "undefine ",
        "private ",
        "$(intcmp ",
    ];
    for feature in newer {
        assert!(!makefile.contains(feature), "{feature}");
    }
}

#[test]
#[ignore = "through make"]
fn shell_is_for_a_few_scripts_that_evaluate_no_text() {
    let scripts = names(&root().join("scripts"));
    assert!(scripts.len() <= 16, "{scripts:?}");
    let found = call("grep", &["-rnw", "eval", "scripts", "cli/src"]);
    assert_eq!(found.stdout, "");
}
