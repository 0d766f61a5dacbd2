//! `make bench-wire`: what the lab's wire carries, how exactly it keeps its delay, and how exactly a sweep sends.

#[cfg(target_os = "linux")]
mod loads;
#[cfg(target_os = "linux")]
#[path = "../peers/machine.rs"]
mod machine;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod rig;
#[cfg(target_os = "linux")]
mod spread;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    measure::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the wire joins network namespaces, which are Linux's");
}
