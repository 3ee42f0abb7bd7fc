package panamoe.harness.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import panamoe.data.Corpus;
import panamoe.data.tokenizer.BpeTrainer;
import panamoe.data.tokenizer.TrainedBpe;
import panamoe.harness.OutputPlace;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.io.SafeFolder;
import panamoe.io.Words;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.json.JsonMapper;

/** {@code panamoe tokenizer}. */
@Command(
    name = "tokenizer",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains a tokenizer on text: byte-level BPE, written as Hugging Face's tokenizer.json.",
      "Without --text it trains on the default corpus, speeches of the European Parliament in 21 languages."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe tokenizer --text ~/novels --vocabulary 4096 --out novels.json",
      "  panamoe tokenizer --languages en,de --vocabulary 2048 --out two.json",
      "  panamoe train --tokenizer novels.json --text ~/novels --out novels",
      "",
      "It reads the whole text; train --vocabulary N trains one on the part that the run trains on."
    })
public final class TokenizerCommand implements Subcommand {
  @Mixin private SharedOptions shared;
  @Mixin private TextSource source;

  @Option(
      names = "--vocabulary",
      paramLabel = "N",
      required = true,
      description =
          "Tokens in all: the end of a text, 256 bytes and the merges; 258 or more. Required.")
  private int vocabulary;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "FILE",
      required = true,
      description = "Where the tokenizer goes: a file that does not exist. Required.")
  private Path out;

  @Override
  public Integer call() throws IOException, InterruptedException {
    source.requireOne(shared);
    shared.checked(() -> BpeTrainer.requireVocabulary(vocabulary));
    OutputPlace.requireNewFile(out, "--out");
    TrainingText read = source.read(shared);
    PrintWriter err = shared.err();
    err.println("text: " + read.source());
    List<String> passages = new ArrayList<>(read.corpus().passages(Corpus.Part.TRAINING));
    passages.addAll(read.corpus().passages(Corpus.Part.VALIDATION));
    long start = System.nanoTime();
    TrainedBpe trained = RunTokenizer.train(passages, vocabulary, shared.threadCount(), err);
    double seconds = (System.nanoTime() - start) / 1e9;
    SafeFolder folder = new SafeFolder(out.toAbsolutePath().getParent());
    folder.make();
    folder.replace(out.getFileName().toString(), trained.json());
    shared.out().println(shared.json() ? json(trained, seconds) : line(trained, seconds));
    return 0;
  }

  private String line(TrainedBpe trained, double seconds) {
    return Words.of(
        "%s: %,d tokens from %,d bytes of text in %.1f s; %.2f bytes a token",
        out,
        trained.tokens().size(),
        trained.textBytes(),
        seconds,
        (double) trained.textBytes() / trained.textTokens());
  }

  private String json(TrainedBpe trained, double seconds) {
    return JsonMapper.shared()
        .valueToTree(
            new TreeMap<>(
                Map.of(
                    "file", out.toString(),
                    "seconds", seconds,
                    "text_bytes", trained.textBytes(),
                    "text_tokens", trained.textTokens(),
                    "tokens", trained.tokens().size())))
        .toString();
  }
}
