use std::fs;
use std::path::Path;

use super::*;

fn trees(folder: &Path) -> Watched {
    Watched { trees: vec![folder.to_owned()], ..Watched::default() }
}

/// What is found to be different after `edit`.
fn found(watched: &Watched, edit: impl FnOnce()) -> BTreeSet<PathBuf> {
    let before = snapshot(watched, &Snapshot::default(), &[]);
    edit();
    before.differences(&snapshot(watched, &before, &[]))
}

fn set(paths: &[&Path]) -> BTreeSet<PathBuf> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

#[test]
fn contents_count_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (file, new) = (folder.path().join("lib.rs"), folder.path().join("src/new.rs"));
    fs::write(&file, "one").unwrap();
    let watched = trees(folder.path());
    assert_eq!(found(&watched, || fs::write(&file, "one").unwrap()), set(&[]), "touched");
    assert_eq!(found(&watched, || fs::write(&file, "two").unwrap()), set(&[&file]));
    let replace = || {
        fs::write(folder.path().join("lib.rs.tmp"), "three").unwrap();
        fs::rename(folder.path().join("lib.rs.tmp"), &file).unwrap();
    };
    assert_eq!(found(&watched, replace), set(&[&file]), "as editors do");
    let make = || {
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(&new, "").unwrap();
    };
    assert_eq!(found(&watched, make), set(&[&new]));
    let again = || {
        fs::remove_dir_all(folder.path().join("src")).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(&new, "").unwrap();
    };
    assert_eq!(found(&watched, again), set(&[]), "made again as it was");
    assert_eq!(found(&watched, || fs::remove_dir_all(folder.path().join("src")).unwrap()), set(&[&new]));
    assert_eq!(found(&watched, || fs::remove_file(&file).unwrap()), set(&[&file]));
}

#[test]
fn what_tools_make_is_no_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["target/debug", ".git/refs", ".miniflow/state", "node_modules/x", "cache", "src/target"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    fs::write(path("Cargo.toml"), "").unwrap();
    fs::write(path("cache/CACHEDIR.TAG"), "").unwrap();
    let output = path("out.wasm");
    let watched = Watched { outputs: [output].into(), ..trees(folder.path()) };
    let edits = || {
        let ignored = ["target/debug/a.d", ".git/index", ".miniflow/state/db", "node_modules/x/i.js", "cache/a"];
        let editors = [".lib.rs.swp", "lib.rs~", "#lib.rs#", ".#lib.rs", "4913", "out.wasm"];
        for name in ignored.into_iter().chain(editors) {
            fs::write(path(name), "x").unwrap();
        }
    };
    assert_eq!(found(&watched, edits), set(&[]));
    let module = path("src/target/mod.rs");
    assert_eq!(found(&watched, || fs::write(&module, "x").unwrap()), set(&[&module]), "only beside a Cargo.toml");
    let snapshot = snapshot(&watched, &Snapshot::default(), &[]);
    assert!(!snapshot.folders().contains_key(&path("target/debug")), "nothing is spent on what is ignored");
}

#[test]
fn single_files_are_seen_when_they_come_and_go_also_with_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (vars, wasm) = (folder.path().join(".dev.vars.staging"), folder.path().join("build/out/worker.wasm"));
    let watched = Watched {
        files: vec![wasm.clone()],
        named: vec![(folder.path().to_owned(), ".dev.vars".to_owned())],
        ..Watched::default()
    };
    assert_eq!(found(&watched, || fs::write(folder.path().join("other"), "x").unwrap()), set(&[]));
    assert_eq!(found(&watched, || fs::write(&vars, "A=1").unwrap()), set(&[&vars]));
    let make = || {
        fs::create_dir_all(wasm.parent().unwrap()).unwrap();
        fs::write(&wasm, "x").unwrap();
    };
    assert_eq!(found(&watched, make), set(&[&wasm]));
    assert_eq!(found(&watched, || fs::remove_dir_all(folder.path().join("build")).unwrap()), set(&[&wasm]));
}

/// Watches, makes folders and files one after the other, and waits for each.
async fn follow(watch: &Watch, folder: &Path) {
    let deep = folder.join("a/b/c");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("one.rs"), "1").unwrap();
    assert_eq!(watch.changed().await, set(&[&deep.join("one.rs")]));
    // The folder is new to whoever tells of changes.
    fs::write(deep.join("two.rs"), "2").unwrap();
    assert_eq!(watch.changed().await, set(&[&deep.join("two.rs")]));
    fs::remove_dir_all(folder.join("a")).unwrap();
    assert_eq!(watch.changed().await, set(&[&deep.join("one.rs"), &deep.join("two.rs")]));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("one.rs"), "3").unwrap();
    assert_eq!(watch.changed().await, set(&[&deep.join("one.rs")]));
    fs::write(deep.join("one.rs"), "4").unwrap();
    assert_eq!(watch.changed().await, set(&[&deep.join("one.rs")]), "in the folder that was made again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_tells_of_changes_also_in_folders_that_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let watch = Watch::start(trees(folder.path()), |why| panic!("{why}")).unwrap();
    follow(&watch, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_system_it_is_looked_now_and_then_and_said_why() {
    let folder = tempfile::tempdir().unwrap();
    let (said, why) = oneshot::channel();
    let hints = Hints::none("no more watches".to_owned());
    let watch = Watch::with(trees(folder.path()), hints, |why| said.send(why).unwrap(), channel()).unwrap();
    assert_eq!(why.await.unwrap(), "no more watches");
    follow(&watch, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_before_other_things_are_watched_is_not_lost() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (before, after) = (one.path().join("before"), other.path().join("after"));
    fs::write(other.path().join("there already"), "x").unwrap();
    let watch = Watch::start(trees(one.path()), |why| panic!("{why}")).unwrap();
    fs::write(&before, "x").unwrap();
    watch.set(trees(other.path())).await;
    fs::write(&after, "x").unwrap();
    assert_eq!(watch.changed_by_now().await, set(&[&before, &after]));
    fs::write(one.path().join("not watched any more"), "x").unwrap();
    assert_eq!(watch.changed_by_now().await, set(&[]));
}

#[cfg(target_os = "linux")]
#[test]
fn the_system_tells_how_far_a_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let (file, part) = (folder.path().join("worker.wasm"), folder.path().join("worker.new"));
    let (told, hints) = channel();
    let mut system = Hints::of_system(move |paths, stage| drop(told.send((paths, stage))));
    assert!(system.follow(snapshot(&trees(folder.path()), &Snapshot::default(), &[]).folders()));
    // Whichever is told last before something else is done.
    let wait_for = |path: &Path, stage| {
        let is_it = |(paths, told): (Vec<PathBuf>, Stage)| told == stage && paths.iter().any(|told| told == path);
        while !is_it(hints.recv_timeout(Duration::from_secs(60)).unwrap()) {}
    };
    let mut writer = fs::File::create(&file).unwrap();
    wait_for(&file, Stage::Begun);
    std::io::Write::write_all(&mut writer, b"one").unwrap();
    wait_for(&file, Stage::Begun);
    drop(writer);
    wait_for(&file, Stage::Whole);
    fs::write(&part, "two").unwrap();
    wait_for(&part, Stage::Whole);
    fs::rename(&part, &file).unwrap();
    wait_for(&part, Stage::Gone);
    wait_for(&file, Stage::Whole);
    fs::remove_file(&file).unwrap();
    wait_for(&file, Stage::Gone);
}
