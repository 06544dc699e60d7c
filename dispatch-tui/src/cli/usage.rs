//! What was used, what it cost, what is left.

use dispatch_shared::client::Client;
use dispatch_shared::protocol::control::{Control, Spending};
use dispatch_shared::run::Usage;

use super::Failure;
use super::out::{Out, dim, word};

pub(super) async fn usage(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let control: Control = client.control().await?;
    if out.json {
        return Ok(out.json(&serde_json::json!({
            "usage": control.usage, "budgets": control.budgets, "waits": control.waits,
            "pausedPools": control.paused_pools, "today": control.today,
        }))?);
    }
    let rows = control.usage.iter().map(|row| {
        vec![
            dim(&row.by),
            (&row.name).into(),
            row.runs.into(),
            row.usage.input_tokens.to_string().into(),
            (row.usage.output_tokens + row.usage.reasoning_tokens).to_string().into(),
            cost(&row.usage).into(),
        ]
    });
    out.table(
        &["BY", "WHAT", "RUNS", "READ", "WRITTEN", "COST"],
        rows.collect(),
        "no run used anything this week",
    )?;
    for budget in &control.budgets {
        out.line(format!("budget of the {}: {}", budget.name, left(budget)))?;
    }
    let rows =
        control.waits.iter().map(|wait| vec![word("waits"), (&wait.program).into(), (&wait.reason).into()]);
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        out.table(&["", "PROGRAM", "WHY"], rows, "")?;
    }
    Ok(())
}

fn cost(usage: &Usage) -> String {
    let about = if usage.estimated { "~" } else { "" };
    usage.cost_usd.map_or_else(|| "-".to_owned(), |cost| format!("{about}${cost:.2}"))
}

fn left(budget: &Spending) -> String {
    let mut words = vec![format!("{}% used", budget.percent)];
    if let (Some(left), Some(limit)) = (budget.left_usd, budget.limit_usd) {
        words.push(format!("${left:.2} of ${limit:.2} left"));
    }
    if let (Some(left), Some(limit)) = (budget.left_tokens, budget.limit_tokens) {
        words.push(format!("{left} of {limit} tokens left"));
    }
    if budget.unpriced_runs > 0 {
        words.push(format!("{} runs of unknown price not counted", budget.unpriced_runs));
    }
    words.join(", ")
}
