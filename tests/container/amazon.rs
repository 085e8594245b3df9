//! A base image as bare as Amazon Linux 2023, with packages split in the same way. It contains a repository of RPMs that are built
//! from Debian's files.

use std::fs;

use crate::{
    base, engine_call,
    machine::{Run, root, sha256},
};

/// The image, built once for each version of its recipe and of the Debian image `base`.
pub fn amazon(base: &str) -> String {
    let recipe = root().join("tests/support/amazon");
    let id = engine_call(&["image", "inspect", "--format", "{{.Id}}", base]).succeeded();
    let id = id.stdout.trim().trim_start_matches("sha256:");
    let image = format!("lambda-musl-amazon:{}{}", &id[..8], &sha256(&recipe)[..8]);
    if !engine_call(&["image", "inspect", &image]).success {
        let directory = tempfile::tempdir().unwrap();
        fs::copy(recipe, directory.path().join("amazon")).unwrap();
        let dockerfile = format!("FROM {base}\nCOPY amazon /\nRUN sh /amazon && rm /amazon\n");
        fs::write(directory.path().join("Dockerfile"), dockerfile).unwrap();
        let context = directory.path().to_string_lossy();
        engine_call(&["build", "--force-rm", "--tag", &image, &context]).succeeded();
    }
    image
}

fn in_amazon(image: &str, script: &str) -> Run {
    let recipe = format!("{}:/packages.sh:ro", root().join("docker/packages.sh").display());
    engine_call(&["run", "--rm", "--network", "none", "--volume", &recipe, image, "sh", "-c", script])
}

#[test]
#[ignore = "run by make test"]
fn packages_are_installed_by_their_amazon_linux_names_from_the_images_own_release() {
    let Some(base) = base("Amazon Linux's packages") else { return };
    let image = amazon(base);
    let lacks = "for program in gcc g++ tar gzip find patch diff which xz perl cmake nasm; do
        ! command -v $program || exit 1; done";
    in_amazon(&image, lacks).succeeded();
    let script = "sh /packages.sh cmake nasm pkg-config libclang && sh /packages.sh cmake nasm pkg-config libclang &&
        echo '#include <iostream>' | g++ -E -x c++ - >/dev/null && cmake --version && nasm -v && pkg-config --version";
    let installed = in_amazon(&image, script).succeeded();
    assert!(installed.stdout.contains("perl-lib") && installed.stdout.contains("Complete!"), "{}", installed.stdout);
}

#[test]
#[ignore = "run by make test"]
fn a_package_missing_from_the_list_or_the_repository_is_reported_at_the_end_of_the_log() {
    let Some(base) = base("a missing package") else { return };
    let image = amazon(base);
    let without = "sed 's/ perl-lib / /' /packages.sh >/tmp/packages.sh && sh /tmp/packages.sh";
    in_amazon(&image, without).failed_with(&["these are missing, though all packages were installed: lib\n"]);
    let misspelt = "sed 's/ perl-lib / perl-lip /' /packages.sh >/tmp/packages.sh && sh /tmp/packages.sh";
    in_amazon(&image, misspelt).failed_with(&["Unable to find a match: perl-lip"]);
    let other_release = "rm -r /repository && sh /packages.sh";
    in_amazon(&image, other_release).failed_with(&["2023.12.20260930"]);
}
