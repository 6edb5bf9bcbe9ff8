// Reads {tables: {Name: {Column: type}}, queries: [text]} from standard input; writes a line for each
// query: a JSON list of what Microsoft's parser has against it (errors only).
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const folder = path.join(process.argv[2], "node_modules", "@kusto", "language-service-next");
for (const file of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  vm.runInThisContext(fs.readFileSync(path.join(folder, file), "utf8"), { filename: file });
}
const { tables, queries } = JSON.parse(fs.readFileSync(0, "utf8"));
const symbols = Object.entries(tables).map(([name, columns]) => {
  const fields = Object.entries(columns).map(([column, type]) => `['${column}']:${type}`);
  return new Kusto.Language.Symbols.TableSymbol.$ctor7(name, `(${fields.join(",")})`);
});
const database = new Kusto.Language.Symbols.DatabaseSymbol.ctor("db", symbols);
const globals = Kusto.Language.GlobalState.Default.WithDatabase(database);
for (const query of queries) {
  const found = [];
  const told = Kusto.Language.KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  for (let place = 0; place < told.Count; place++) {
    const one = told.getItem(place);
    if (one.Severity === "Error") {
      found.push(`${one.Code} at ${one.Start}: ${one.Message}`);
    }
  }
  process.stdout.write(JSON.stringify(found) + "\n");
}
