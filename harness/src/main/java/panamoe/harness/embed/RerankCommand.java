package panamoe.harness.embed;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.harness.ModelArgument;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.open.ModelFolder;
import panamoe.retrieval.RerankForm;
import panamoe.retrieval.TextReranker;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe rerank}. */
@Command(
    name = "rerank",
    customSynopsis = "panamoe rerank [OPTIONS] MODEL",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Sorts documents by how well they answer a query, the best first.",
    footer = {
      "",
      "Examples:",
      "  panamoe rerank ~/Qwen3-Reranker-0.6B --query \"Where is the hat?\" --documents documents.txt",
      "  panamoe rerank ~/Qwen3-Reranker-0.6B --query \"Where is the hat?\" --top 3 < documents.txt",
      "",
      "Each document is printed as a JSON object: its score from 0 to 1, its index, its id if it has one, and the tokens",
      "that were read. Models are in the form of Qwen3-Reranker (docs/text-embeddings.md).",
      "--seed and --json have no effect."
    })
public final class RerankCommand implements Subcommand {
  @Mixin private SharedOptions shared;
  @Mixin private ModelArgument model;

  @Option(
      names = "--query",
      paramLabel = "TEXT",
      required = true,
      description = "What the documents may answer.")
  private String query;

  @Option(
      names = "--documents",
      paramLabel = "FILE",
      defaultValue = TextLines.STANDARD_INPUT,
      description =
          "Documents, one a line; or JSON objects with a \"text\" and perhaps an \"id\". - is the standard input, and the default.")
  private Path documents;

  @Option(
      names = "--instruction",
      paramLabel = "TEXT",
      defaultValue = RerankForm.INSTRUCTION,
      description = "What the query asks for, in a sentence. Default: ${DEFAULT-VALUE}.")
  private String instruction;

  @Option(
      names = "--top",
      paramLabel = "N",
      description = "Print the N best documents. Default: all.")
  private Integer top;

  @Mixin private ReadingOptions reading;

  @Override
  public Integer call() {
    shared.require(top == null || top >= 1, "--top is %s, expected 1 or more", top);
    shared.require(!query.isEmpty(), "--query is empty");
    ModelFolder opened = ModelFolder.open(model.path());
    ModelFolder folder = shared.checked(() -> reading.of(opened));
    RerankForm form = RerankForm.of(folder);
    List<TextLines.Line> lines = TextLines.read(documents);
    List<String> texts = lines.stream().map(TextLines.Line::text).toList();
    List<TextReranker.Scored> scores = new ArrayList<>();
    reading.run(
        shared,
        folder,
        (backend, loaded) -> {
          try (TextReranker reranker = new TextReranker(folder, form, backend, loaded)) {
            scores.addAll(reranker.score(instruction, query, texts));
          }
        });
    IntStream.range(0, scores.size())
        .boxed()
        .sorted(Comparator.comparingDouble(i -> -scores.get(i).score()))
        .limit(top == null ? scores.size() : top)
        .forEach(i -> print(i, lines.get(i), scores.get(i)));
    return 0;
  }

  private void print(int index, TextLines.Line line, TextReranker.Scored found) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("score", found.score()).put("index", index);
    if (line.id() != null) {
      json.set("id", line.id());
    }
    json.put("tokens", found.tokens()).put("document", line.text());
    EmbedCommand.print(shared.out(), json);
  }
}
