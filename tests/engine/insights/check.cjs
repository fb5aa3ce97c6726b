// Types queries: reads {"tables": {name: columns}, "queries": {name: text}} and writes {name: [fault, ...]}, as JSON.
const path = require("node:path");
const service = path.join(__dirname, "node_modules", "@kusto", "language-service-next");
require(path.join(service, "bridge.js"));
require(path.join(service, "Kusto.Language.Bridge.js"));

const { Kusto } = globalThis;
const input = JSON.parse(require("node:fs").readFileSync(0, "utf-8"));
const tables = Object.entries(input.tables).map(([name, columns]) =>
  Kusto.Language.Symbols.TableSymbol.From(`(${columns})`).WithName(name),
);
const database = new Kusto.Language.Symbols.DatabaseSymbol.$ctor1("insights", tables);
const globals = Kusto.Language.GlobalState.Default.WithDatabase(database);
const faults = {};
for (const [name, text] of Object.entries(input.queries)) {
  const found = Kusto.Language.KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  faults[name] = Array.from({ length: found.Count }, (_, at) => found.getItem(at).Message);
}
process.stdout.write(JSON.stringify(faults));
