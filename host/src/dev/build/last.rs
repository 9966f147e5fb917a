//! The newest component of a package, so that serving it again needs no cargo: asking cargo takes longer than the rest of a start.
//!
//! **Guarantees**: a build notes its component in the folder of the package. A component of the other profile that was built
//! later, for example by cargo alone, is newer than the note.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::profile::{self, Profile};
use super::{TARGET, folder_of};
use crate::dev::OWN_FOLDER;

const FILE: &str = "last-build";

fn note(manifest: &Path) -> PathBuf {
    folder_of(manifest).join(OWN_FOLDER).join(FILE)
}

/// Notes that `component` was built from the package of `manifest`.
pub(super) fn remember(manifest: &Path, component: &Path) {
    let folder = folder_of(manifest).join(OWN_FOLDER);
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| crate::dev::hide_from_git(&folder))
        .and_then(|()| std::fs::write(note(manifest), component.as_os_str().as_encoded_bytes()));
    if let Err(error) = written {
        tracing::debug!("the build is not remembered in {}: {error}", folder.display());
    }
}

/// Returns the newest component of the package of `manifest` that is still there, if a build was noted.
pub(super) fn remembered(manifest: &Path) -> Option<PathBuf> {
    let note = note(manifest);
    let noted = PathBuf::from(std::fs::read_to_string(&note).ok()?);
    // A build that has nothing to do leaves the component as old as it is, and writes the note.
    let noted_time = modified(&note).filter(|_| noted.is_file());
    let others = of_profiles(&noted).into_iter().filter(|other| *other != noted);
    let candidates = others.filter_map(|other| Some((modified(&other)?, other)));
    let newest = candidates.chain(noted_time.map(|time| (time, noted.clone()))).max_by_key(|(time, _)| *time);
    newest.map(|(_, component)| component)
}

/// Returns the newest of `components`, of those that are there.
pub(super) fn newest(components: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    components.into_iter().filter(|file| file.is_file()).max_by_key(|file| modified(file))
}

/// Returns the profile that `component` was built with, as its path says.
pub(super) fn profile_of(component: &Path) -> Option<Profile> {
    let folder = component.parent()?;
    if folder.parent()?.file_name()? != TARGET {
        return None;
    }
    profile::ALL.into_iter().find(|profile| folder.file_name().is_some_and(|name| name == profile.name()))
}

/// The files of the same component in the folders of all profiles.
fn of_profiles(component: &Path) -> Vec<PathBuf> {
    let (Some(_), Some(name)) = (profile_of(component), component.file_name()) else { return Vec::new() };
    let Some(target) = component.parent().and_then(Path::parent) else { return Vec::new() };
    profile::ALL.iter().map(|profile| target.join(profile.name()).join(name)).collect()
}

fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_build_is_remembered_as_long_as_its_component_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, component) = (folder.path().join("Cargo.toml"), folder.path().join("worker.wasm"));
        assert_eq!(remembered(&manifest), None);
        std::fs::write(&component, "").unwrap();
        remember(&manifest, &component);
        assert_eq!(remembered(&manifest).as_ref(), Some(&component));
        assert_eq!(std::fs::read_to_string(folder.path().join(".miniflow/.gitignore")).unwrap(), "*\n");
        std::fs::remove_file(&component).unwrap();
        assert_eq!(remembered(&manifest), None);
    }

    #[test]
    fn newest_component_counts_whichever_profile_built_it() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        let component = |profile: Profile| {
            let file = folder.path().join("target").join(TARGET).join(profile.name()).join("worker.wasm");
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            file
        };
        let [development, release] = [Profile::Development, Profile::Release].map(component);
        let set_modified = |file: &Path, seconds: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
        };
        set_modified(&development, 50);
        set_modified(&release, 60);
        // Noted now: that build had nothing to compile.
        remember(&manifest, &development);
        assert_eq!(remembered(&manifest).as_ref(), Some(&development));
        assert_eq!(profile_of(&development), Some(Profile::Development));
        // cargo has built the other one since.
        set_modified(&note(&manifest), 55);
        assert_eq!(remembered(&manifest).as_ref(), Some(&release));
        assert_eq!(profile_of(&release), Some(Profile::Release));
        assert_eq!(newest([development, release.clone(), folder.path().join("none")]), Some(release));
        assert_eq!(profile_of(&manifest), None);
    }
}
