//! The imports between the files of `src/` have no cycles, not even indirect ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The path of a module, which is empty for the root.
type Module = Vec<String>;

/// The paths that a file names, and its re-exports by name.
#[derive(Debug, Default)]
struct File {
    paths: Vec<Module>,
    exports: BTreeMap<String, Module>,
}

#[test]
fn the_imports_of_src_have_no_cycles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = BTreeMap::new();
    collect(&root, &root, &mut sources);
    assert!(sources.len() > 20, "{} files in src", sources.len());
    assert_eq!(cycles(&sources), [""; 0]);
}

#[test]
fn a_cycle_is_found_in_every_form_of_import() {
    for closing in [
        "use crate::a::A;",
        "use crate::{Z, a::{self, B as C}};",
        "use crate::A;",
        "use super::super::a;",
        "fn f() -> crate::a::A {}",
        "/* crate::z */ fn f() { super::super::a::f() }",
    ] {
        let sources = sources(&[
            ("lib.rs", "mod a; mod b; pub use a::{A, f as z};"),
            ("a.rs", "use crate::b::B;"),
            ("b/mod.rs", "mod c; pub use self::c::B;"),
            ("b/c.rs", closing),
        ]);
        let found = cycles(&sources);
        assert_eq!(found, ["a.rs imports b/c.rs", "b/c.rs imports a.rs"], "{closing}");
    }
    let parent = sources(&[("lib.rs", ""), ("a.rs", "mod b; fn f() { b::g() }"), ("a/b.rs", "use super::f;")]);
    assert_eq!(cycles(&parent), ["a.rs imports a/b.rs", "a/b.rs imports a.rs"]);
}

#[test]
fn comments_tests_and_the_exports_of_lib_are_not_imports() {
    let sources = sources(&[
        ("lib.rs", "pub use a::A; pub use b::B;"),
        ("a.rs", "use crate::B;"),
        ("b.rs", "//! crate::A\n/// [`A`](crate::A)\npub struct B;\n#[cfg(test)]\nmod tests { use crate::A; }"),
    ]);
    assert_eq!(cycles(&sources), [""; 0]);
}

fn sources(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
}

fn collect(root: &Path, directory: &Path, sources: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            sources.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
        }
    }
}

/// The imports that are part of a cycle.
fn cycles(sources: &BTreeMap<String, String>) -> Vec<String> {
    let module = |name: &str| -> Module {
        let name = name.trim_end_matches(".rs").trim_end_matches("/mod");
        name.split('/').filter(|name| *name != "lib").map(str::to_owned).collect()
    };
    let names: BTreeMap<Module, &str> = sources.keys().map(|name| (module(name), name.as_str())).collect();
    let files: BTreeMap<&Module, File> =
        names.iter().map(|(module, name)| (module, parse(module, &sources[*name], &names))).collect();
    let mut imports = BTreeSet::new();
    // The root contains only re-exports, through which the paths are resolved.
    for (module, file) in files.iter().filter(|(module, _)| !module.is_empty()) {
        let targets = file.paths.iter().map(|path| resolve(path, &files));
        imports.extend(targets.filter(|target| target != *module).map(|target| ((*module).clone(), target)));
    }
    let reaches = |from: &Module, end: &Module| {
        let mut seen = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(next) = open.pop() {
            let further = imports.iter().filter(|(from, _)| from == next);
            open.extend(further.map(|(_, to)| to).filter(|to| seen.insert(to)));
        }
        seen.contains(end)
    };
    let closed = imports.iter().filter(|(from, to)| reaches(to, from));
    closed.map(|(from, to)| format!("{} imports {}", names[from], names[to])).collect()
}

/// The module of the file that defines the item of a path, found through re-exports.
fn resolve(path: &[String], files: &BTreeMap<&Module, File>) -> Module {
    let mut module = Module::new();
    for (index, name) in path.iter().enumerate() {
        let child = [&module[..], std::slice::from_ref(name)].concat();
        if files.contains_key(&child) {
            module = child;
        } else if let Some(export) = files[&module].exports.get(name) {
            return resolve(&[export, &path[index + 1..]].concat(), files);
        } else {
            break;
        }
    }
    module
}

/// The paths of this crate that a file names, and its re-exports.
fn parse(module: &Module, text: &str, names: &BTreeMap<Module, &str>) -> File {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).flat_map(|line| [line, "\n"]).collect();
    let tokens = tokens(&code);
    let mut file = File::default();
    for index in 0..tokens.len() {
        let before = index.checked_sub(1).map_or("", |before| tokens[before]);
        let is_use = before == "use";
        if ["::", "in"].contains(&before) || !is_use && tokens.get(index + 1) != Some(&"::") {
            continue;
        }
        let child = [&module[..], &[tokens[index].to_owned()]].concat();
        if !["crate", "self", "super"].contains(&tokens[index]) && !names.contains_key(&child) {
            continue;
        }
        let is_export = is_use && index > 1 && ["pub", ")"].contains(&tokens[index - 2]);
        let mut leaves = Vec::new();
        tree(&tokens, &mut index.clone(), module.clone(), &mut leaves);
        for (path, name) in leaves {
            if is_export {
                file.exports.insert(name, path.clone());
            }
            file.paths.push(path);
        }
    }
    file
}

/// Splits code into names, `::` and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match rest {
            _ if is_name(first) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
            _ if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Reads a path at `index`, or several in braces, and adds each to `leaves` with the name that it has in this file.
fn tree(tokens: &[&str], index: &mut usize, mut path: Module, leaves: &mut Vec<(Module, String)>) {
    loop {
        match tokens.get(*index).copied().unwrap_or_default() {
            "{" => {
                while tokens.get(*index).is_some_and(|token| *token != "}") {
                    *index += 1;
                    if tokens.get(*index) != Some(&"}") {
                        tree(tokens, index, path.clone(), leaves);
                    }
                }
                *index += 1;
                return;
            }
            "crate" => path.clear(),
            "super" => {
                path.pop();
            }
            "self" | "*" => {}
            name => path.push(name.to_owned()),
        }
        *index += 1;
        if tokens.get(*index) != Some(&"::") {
            break;
        }
        *index += 1;
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if tokens.get(*index) == Some(&"as") {
        name = tokens[*index + 1].to_owned();
        *index += 2;
    }
    leaves.push((path, name));
}
