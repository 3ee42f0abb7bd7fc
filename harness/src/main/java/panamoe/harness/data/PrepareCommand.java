package panamoe.harness.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import panamoe.data.ByteTokenizer;
import panamoe.data.JsonTokenizer;
import panamoe.data.PreparedText;
import panamoe.data.Tokenizer;
import panamoe.harness.SharedOptions;
import panamoe.harness.train.TextSource;
import panamoe.harness.train.TrainingText;
import panamoe.io.Count;
import panamoe.io.RegularFile;
import panamoe.io.Words;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe data prepare}. */
@Command(
    name = "prepare",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Encodes a text once, into files of tokens that train --data maps instead of holding them in memory.",
      "A run on them has the bits of a run on the text. Without --text it takes the default corpus."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe data prepare --text ~/novels --tokenizer tokenizer.json --out tokens",
      "  panamoe train --data tokens --out novels",
      "",
      "The text may be larger than memory. --device, --threads and --seed change nothing here."
    })
public final class PrepareCommand implements Callable<Integer> {
  @Mixin private SharedOptions shared;
  @Mixin private TextSource source;

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description = "A tokenizer.json in Hugging Face's format. Default: bytes.")
  private Path tokenizer;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      required = true,
      description = "Where the tokens go: a new or empty folder.")
  private Path out;

  @Override
  public Integer call() throws IOException {
    source.requireOne(shared);
    EmptyFolder.at(out);
    Tokenizer tokens =
        tokenizer == null ? new ByteTokenizer() : JsonTokenizer.load(RegularFile.named(tokenizer));
    TrainingText read = source.read(shared);
    print(PreparedText.prepare(read.corpus(), read.attribution(), tokens, tokenizer, out));
    return 0;
  }

  private void print(PreparedText prepared) {
    PreparedText.Content content = prepared.content();
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("folder", out.toString());
    json.put("bytes", content.textBytes());
    json.put("training_tokens", content.trainingTokens());
    json.put("validation_tokens", content.validationTokens());
    json.put("bytes_per_token", content.tokenBytes());
    String words =
        Words.of(
            "%s: %s to train on and %s to validate on, of %s of text; %d bytes a token",
            out,
            Count.of(content.trainingTokens(), "token"),
            Count.of(content.validationTokens(), "token"),
            Count.of(content.textBytes(), "byte"),
            content.tokenBytes());
    shared.out().println(shared.json() ? json : words);
  }
}
