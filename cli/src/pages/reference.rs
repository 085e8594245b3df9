//! Generates the reference of verbs, options and keys from the program itself.

use std::{env, fmt::Write, fs};

use clap::{Arg, Command, CommandFactory};

use super::{assert_none, root};
use crate::{options::Options, project::KEYS};

const PAGE: &str = "docs/reference.md";
const MARK: &str = "<!-- Everything below is written by `make reference`. -->\n";

/// Keys of the metadata that are not options.
const KEYS_ALONE: [(&str, &str); 2] = [
    (
        "classic-lock",
        "In a workspace's table: the path, relative to the workspace, of the lock file that `docker-build` uses if the pins name \
         OpenSSL 1.0. The file contains crate versions that support OpenSSL 1.0",
    ),
    ("deploy", "A table with the settings of `deploy`, under the names of its options; see [Deploy](deploy.md)"),
];

fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

fn arguments(verb: &Command) -> impl Iterator<Item = &Arg> {
    verb.get_arguments()
        .filter(|argument| !argument.is_hide_set() && !["help", "verbose"].contains(&argument.get_id().as_str()))
}

/// Escapes text for a table cell.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// The name of an argument, with the names of its values.
fn name(argument: &Arg) -> String {
    let value = argument.get_value_names().filter(|_| argument.get_action().takes_values());
    let value = value.map(|names| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" "));
    let (before, after) = if argument.is_require_equals_set() { ("[=", "]") } else { (" ", "") };
    match argument.get_long() {
        Some(long) => format!("--{long}{}", value.map(|value| format!("{before}{value}{after}")).unwrap_or_default()),
        None => value.unwrap_or_default(),
    }
}

/// The help text of an argument, with its possible values and its default.
fn description(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    // The help text contains the defaults that clap does not set itself.
    let (help, default) = match help.split_once(" [default: ") {
        Some((help, default)) => (help.to_owned(), Some(default.trim_end_matches(']').to_owned())),
        None => (help, None),
    };
    let mut text = format!("{help}.");
    let takes_values = argument.get_action().takes_values() && argument.get_id() != "shell";
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| takes_values)
        .map(|value| {
            let help = value.get_help().map(|help| format!(" ({help})")).unwrap_or_default();
            format!("`{}`{help}", value.get_name())
        })
        .collect();
    if !values.is_empty() {
        write!(text, " One of {}.", values.join(", ")).unwrap();
    }
    let defaults =
        argument.get_default_values().iter().filter(|_| takes_values && !argument.is_hide_default_value_set());
    let default = default.or_else(|| Some(format!("`{}`", defaults.map(|value| value.to_str()).next()??)));
    if let Some(default) = default {
        write!(text, " Default: {default}.").unwrap();
    }
    cell(&text)
}

fn of_verb(verb: &Command) -> String {
    let mut text = format!("### `{}`\n\n{}.\n\n", verb.get_name(), verb.get_about().unwrap_or_default());
    if arguments(verb).next().is_some() {
        text += "| option | description |\n| --- | --- |\n";
        for argument in arguments(verb) {
            writeln!(text, "| `{}` | {} |", cell(&name(argument)), description(argument)).unwrap();
        }
        text.push('\n');
    }
    let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
    writeln!(text, "```text\n{}\n```\n", help.trim()).unwrap();
    text
}

/// The option with the name of a key, from the first verb that has the option.
fn option<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    verbs(command).flat_map(|verb| verb.get_arguments()).find(|argument| argument.get_long() == Some(key))
}

fn of_key(command: &Command, key: &str) -> String {
    let alone = KEYS_ALONE.iter().find(|(name, _)| *name == key).map(|(_, text)| format!("{text}."));
    let text = alone.or_else(|| option(command, key).map(description));
    text.unwrap_or_default()
}

fn generated() -> String {
    let mut command = Options::command().bin_name("cargo lambda-musl");
    command.build();
    let mut text = "\n## Verbs\n\n".to_owned();
    verbs(&command).filter(|verb| verb.get_name() != "help").for_each(|verb| text += &of_verb(verb));
    text += "## Keys of the metadata\n\n| key | description |\n| --- | --- |\n";
    for key in KEYS {
        writeln!(text, "| `{key}` | {} |", of_key(&command, key)).unwrap();
    }
    text
}

#[test]
fn the_reference_matches_the_program() {
    let text = fs::read_to_string(root().join(PAGE)).unwrap();
    let (own, found) =
        text.split_once(MARK).unwrap_or_else(|| panic!("{PAGE}: the marker of the generated part is missing"));
    let expected = generated();
    if env::var_os("WRITE_REFERENCE").is_some() {
        return fs::write(root().join(PAGE), format!("{own}{MARK}{expected}")).unwrap();
    }
    let line = own.lines().count() + 2 + found.lines().zip(expected.lines()).take_while(|(a, b)| a == b).count();
    assert!(found == expected, "{PAGE}:{line}: does not match the program; run `make reference`");
}

#[test]
fn every_verb_that_only_the_clone_has_is_in_the_reference() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let verbs = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: $(verbs) ")).unwrap();
    let missing = verbs.split(' ').filter(|verb| *verb != "help" && !page.contains(&format!("`{verb}`")));
    assert_none(missing.map(|verb| format!("{PAGE}: make {verb} is missing")));
}

#[test]
fn every_verb_option_and_key_has_a_description() {
    let command = Options::command();
    let mut problems = Vec::new();
    for verb in verbs(&command) {
        let missing = |what: String| format!("cli/src/options.rs: {}{what} has no description", verb.get_name());
        problems.extend(verb.get_about().is_none().then(|| missing(String::new())));
        let without = arguments(verb).filter(|argument| argument.get_help().is_none());
        problems.extend(without.map(|argument| missing(format!(" {}", argument.get_id()))));
    }
    let without = KEYS.iter().filter(|key| of_key(&command, key).is_empty());
    problems.extend(without.map(|key| format!("cli/src/pages/reference.rs: the key {key} has no description")));
    assert_none(problems);
}
