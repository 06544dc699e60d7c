//! Durable claims per second through the ledger, beside the same rows put straight into redb in groups of the same size.
//!
//! `cargo bench -p dispatch-tests --bench claims`. Both sides write to the same file system in the same run, so that the
//! ratio means something where the absolute figures do not.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dispatch_tests::ledger::{START, Stepping, synced, take, track};
use dispatchd::core::change::Change;
use dispatchd::core::command::{Command, Reply};
use dispatchd::core::reactor;
use dispatchd::core::world::World;
use dispatchd::edges::Edges;
use dispatchd::ledger::Ledger as _;
use dispatchd::store::Store;
use redb::{Database, TableDefinition};

const CLAIMS: usize = 4_096;
const SUBMITTERS: [usize; 3] = [1, 8, 64];

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Measured {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

impl Measured {
    fn of(mut each: Vec<Duration>, claims: usize, whole: Duration) -> Self {
        each.sort();
        let at = |percent: usize| each[(each.len() - 1) * percent / 100];
        Self { per_second: claims as f64 / whole.as_secs_f64(), p50: at(50), p99: at(99) }
    }
}

fn pages() -> impl Iterator<Item = Command> {
    let all: Vec<u64> = (1..=CLAIMS as u64).collect();
    let pages: Vec<Vec<u64>> = all.chunks(128).map(<[u64]>::to_vec).collect();
    let last = pages.len() - 1;
    pages.into_iter().enumerate().map(move |(n, page)| synced(page, n == last))
}

/// Everybody asks as fast as they are answered.
async fn through_the_ledger(state: &Path, submitters: usize) -> Result<Measured, Failure> {
    let edges = Edges { clock: Arc::new(Stepping::default()), ..Edges::default() };
    let store = Arc::new(Store::open(state, edges, Arc::default())?);
    store.submit(track()).await?;
    for page in pages() {
        store.submit(page).await?;
    }
    let mut tasks = tokio::task::JoinSet::new();
    let start = Instant::now();
    for who in 0..submitters {
        let store = store.clone();
        tasks.spawn(async move {
            let mut each = Vec::new();
            for n in 0..CLAIMS / submitters {
                let asked = Instant::now();
                let (reply, _) = store.submit(Command::Take(take(&format!("agent-{who}-{n}")))).await?;
                each.push(asked.elapsed());
                if !matches!(reply, Reply::Claimed { .. }) {
                    return Err(Failure::from("there was nothing left to take"));
                }
            }
            Ok(each)
        });
    }
    let mut each = Vec::new();
    while let Some(done) = tasks.join_next().await {
        each.extend(done??);
    }
    let whole = start.elapsed();
    store.close().await?;
    Ok(Measured::of(each, CLAIMS, whole))
}

/// One row: its table, its key, its bytes.
type Row = (&'static str, Vec<u8>, Vec<u8>);

/// The rows of every claim, as the core decides them.
fn rows() -> Result<Vec<Vec<Row>>, Failure> {
    let mut world = World::default();
    let mut apply = |command: &Command| -> Result<Vec<Change>, Failure> {
        let decision = reactor::decide(&world, START, command)?;
        world = decision.world;
        Ok(decision.changes)
    };
    apply(&track())?;
    for page in pages() {
        apply(&page)?;
    }
    let taken = (0..CLAIMS).map(|n| apply(&Command::Take(take(&format!("agent-{n}")))));
    taken.map(|changes| changes?.iter().map(row).collect()).collect()
}

fn row(change: &Change) -> Result<Row, Failure> {
    let bytes = rmp_serde::to_vec_named(change)?;
    let number = |n: u64| n.to_be_bytes().to_vec();
    Ok(match change {
        Change::Card(card) => ("cards", number(card.key.number), bytes),
        Change::Claim(claim) => ("claims", number(claim.id.0), bytes),
        Change::Intent(intent) => ("intents", number(intent.id.0), bytes),
        Change::Audit(audit) => ("audit", number(audit.id), bytes),
        Change::Event(event) => ("events", number(event.seq.0), bytes),
        _ => ("others", Vec::new(), bytes),
    })
}

/// The same rows in groups of the same size, one commit each, nothing else.
fn straight_to_redb(file: &Path, group: usize, claims: &[Vec<Row>]) -> Result<Measured, Failure> {
    let db = Database::builder().set_cache_size(32 << 20).create(file)?;
    let mut each = Vec::new();
    let start = Instant::now();
    for claims in claims.chunks(group) {
        let begun = Instant::now();
        let mut rows: Vec<&Row> = claims.iter().flatten().collect();
        rows.sort_by_key(|(table, ..)| *table);
        let txn = db.begin_write()?;
        for table in rows.chunk_by(|a, b| a.0 == b.0) {
            let mut open = txn.open_table(TableDefinition::<&[u8], &[u8]>::new(table[0].0))?;
            for (_, key, bytes) in table {
                open.insert(key.as_slice(), bytes.as_slice())?;
            }
        }
        txn.commit()?;
        each.push(begun.elapsed());
    }
    Ok(Measured::of(each, claims.len(), start.elapsed()))
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let claims = rows()?;
    let one = &claims[CLAIMS / 2];
    let size: usize = one.iter().map(|(.., bytes)| bytes.len()).sum();
    let mut out = io::stdout().lock();
    writeln!(out, "{CLAIMS} claims, each {} rows of {size} bytes together", one.len())?;
    writeln!(
        out,
        "{:>10} {:>12} {:>10} {:>10} {:>12} {:>7}",
        "submitters", "claims/s", "p50", "p99", "bare redb/s", "ratio"
    )?;
    for submitters in SUBMITTERS {
        let state = temp.path().join(format!("state-{submitters}"));
        let ours = runtime.block_on(through_the_ledger(&state, submitters))?;
        let bare =
            straight_to_redb(&temp.path().join(format!("bare-{submitters}.redb")), submitters, &claims)?;
        writeln!(
            out,
            "{submitters:>10} {:>12.0} {:>10.2?} {:>10.2?} {:>12.0} {:>7.2}",
            ours.per_second,
            ours.p50,
            ours.p99,
            bare.per_second,
            ours.per_second / bare.per_second
        )?;
    }
    Ok(())
}
