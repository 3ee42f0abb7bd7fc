package panamoe.harness.embed;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import panamoe.harness.ModelArgument;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.open.EmbeddingForm;
import panamoe.open.ModelFolder;
import panamoe.retrieval.TextEmbedder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe embed}. */
@Command(
    name = "embed",
    customSynopsis = "panamoe embed [OPTIONS] MODEL",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Turns texts into vectors, one JSON object a line.",
    footer = {
      "",
      "Examples:",
      "  panamoe embed ~/Qwen3-Embedding-0.6B --input documents.txt > vectors.jsonl",
      "  echo \"Where is the hat?\" | panamoe embed ~/Qwen3-Embedding-0.6B --prompt query",
      "  panamoe embed Qwen3-Embedding-0.6B.gguf --input queries.txt --instruction \"Find answers.\"",
      "",
      "The output has the index, the embedding and the tokens of each text, and its id if it has one.",
      "docs/text-embeddings.md says how texts are pooled. --seed and --json have no effect."
    })
public final class EmbedCommand implements Subcommand {
  @Mixin private SharedOptions shared;
  @Mixin private ModelArgument model;

  @Option(
      names = "--input",
      paramLabel = "FILE",
      defaultValue = TextLines.STANDARD_INPUT,
      description =
          "Texts, one a line; or JSON objects with a \"text\" and perhaps an \"id\". - is the standard input, and the default.")
  private Path input;

  @Option(
      names = "--prompt",
      paramLabel = "NAME",
      description =
          "The model's prompt before each text, such as query. Default: the model's own choice, mostly none.")
  private String prompt;

  @Option(
      names = "--instruction",
      paramLabel = "TEXT",
      description =
          "What queries ask for, in a sentence: \"Instruct: TEXT\", a new line and \"Query:\" come before each text, in the form of Qwen3-Embedding.")
  private String instruction;

  @Option(
      names = "--dimensions",
      paramLabel = "D",
      description =
          "Keep the first D numbers of each vector, and normalise it again, for models trained for that. Default: all.")
  private Integer dimensions;

  @Mixin private ReadingOptions reading;

  @Override
  public Integer call() {
    shared.require(
        prompt == null || instruction == null,
        "--prompt and --instruction are two prompts; give one");
    ModelFolder opened = ModelFolder.open(model.path());
    ModelFolder folder = shared.checked(() -> reading.of(opened));
    EmbeddingForm form = EmbeddingForm.of(folder);
    folder.tokenizer(); // refuses a model without one, before the texts are read
    String before =
        shared.checked(
            () -> instruction == null ? form.prompt(prompt) : EmbeddingForm.instruct(instruction));
    int width = folder.config().hidden();
    int kept = dimensions == null ? width : dimensions;
    shared.checked(() -> EmbeddingForm.requireDimensions(kept, width));
    List<TextLines.Line> lines = TextLines.read(input);
    reading.run(
        shared,
        folder,
        (backend, loaded) -> {
          try (TextEmbedder embedder = new TextEmbedder(folder, form, backend, loaded)) {
            Iterator<TextLines.Line> next = lines.iterator();
            List<String> texts = lines.stream().map(TextLines.Line::text).toList();
            int[] index = {0};
            embedder.embed(texts, before, kept, found -> print(index[0]++, next.next(), found));
          }
        });
    return 0;
  }

  private void print(int index, TextLines.Line line, TextEmbedder.Embedded found) {
    ObjectNode json = JsonNodeFactory.instance.objectNode().put("index", index);
    if (line.id() != null) {
      json.set("id", line.id());
    }
    ArrayNode vector = json.put("tokens", found.tokens()).putArray("embedding");
    for (float value : found.vector()) {
      vector.add(value);
    }
    print(shared.out(), json);
  }

  /** Prints a line. */
  static void print(PrintWriter out, ObjectNode json) {
    out.println(json);
    if (out.checkError()) {
      throw new UncheckedIOException(
          new IOException("cannot write the results: the output is closed, or its disk is full"));
    }
  }
}
