package panamoe.lab.conformance;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.io.Require;
import panamoe.lab.bench.Peer;
import panamoe.lab.conformance.jinja.TemplateCases;
import panamoe.lab.conformance.llamacpp.LlamaComparison;
import panamoe.lab.conformance.llamacpp.TextComparison;
import panamoe.lab.conformance.replay.CaseResult;
import panamoe.lab.conformance.replay.Conformance;
import panamoe.lab.conformance.tokenizers.RecordedTokenizers;
import panamoe.lab.peer.PeerProcess;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;

/**
 * Replays recorded results of other implementations. Exits with 1 if a case fails or none exists.
 */
@Command(
    name = "conformance",
    mixinStandardHelpOptions = true,
    description = {
      "Replays recorded inputs of other MoE implementations and compares every output and"
          + " gradient.",
      "Prints a line per case, then the numbers of passed and failed cases.",
      "With --peer llama it compares a GGUF file in llama.cpp's libllama and in Panamoe instead."
    },
    footer = {
      "",
      "Example:",
      "  panamoe conformance lab/golden/ds_gating --device cpu",
      "  panamoe conformance --peer llama model.gguf",
      "",
      "See docs/conformance.md."
    })
public final class ConformanceCommand implements Subcommand {
  private static final JsonMapper JSON = JsonMapper.shared();

  @Mixin private SharedOptions shared;

  @Parameters(
      paramLabel = "DIR",
      description = {
        "Folder to search for recorded cases: *.safetensors,",
        "tokens beside a texts.json, and conversations.json of templates.",
        "With --peer: a .gguf file."
      })
  private Path folder;

  @Option(
      names = "--peer",
      paramLabel = "PEER",
      description =
          "llama: libllama (ci/fetch/peers installs it) continues a random prompt of --seed with a"
              + " .gguf file; its logits and tokens are compared with ours.")
  private String peer;

  @Option(
      names = "--text",
      paramLabel = "FILE",
      description =
          "With --peer: compares the tokens and the perplexity of this text, and greedy tokens"
              + " after its beginning.")
  private Path text;

  private int passed;
  private int failed;
  private int skipped;

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (peer != null) {
      return compare();
    }
    shared.require(text == null, "--text needs --peer");
    List<Path> cases = Conformance.cases(folder);
    List<Path> tokenizers = RecordedTokenizers.files(folder);
    List<Path> templates = TemplateCases.folders(folder);
    Require.that(
        !(cases.isEmpty() && tokenizers.isEmpty() && templates.isEmpty()),
        "%s holds no recorded case (*.safetensors, tokens beside a texts.json, or"
            + " conversations.json of templates)",
        folder);
    try (Backend backend = shared.open()) {
      Conformance conformance = new Conformance(folder, backend, CaseKinds::of);
      for (Path file : cases) {
        CaseResult result = conformance.replay(file);
        if (Thread.currentThread().isInterrupted()) {
          throw new InterruptedException();
        }
        tell(result, backend.name());
      }
    }
    for (Path file : tokenizers) {
      tell(RecordedTokenizers.replay(folder, file));
    }
    for (Path each : templates) {
      tell(TemplateCases.replay(folder, each));
    }
    print(
        Map.of("passed", passed, "failed", failed, "skipped", skipped),
        passed
            + " passed, "
            + failed
            + " failed"
            + (skipped == 0 ? "" : ", " + skipped + " skipped"));
    return failed == 0 ? ExitCode.OK : ExitCode.SOFTWARE;
  }

  private int compare() throws IOException {
    shared.require(peer.equals("llama"), "--peer is '" + peer + "', expected llama");
    boolean passes = true;
    try (Backend backend = shared.open();
        PeerProcess llama = Peer.LLAMA.start("cpu", shared.seed())) {
      int threads = backend.threads();
      if (text != null) {
        TextComparison.Result result =
            TextComparison.compare(folder, text, backend, llama, threads);
        print(result, result.line());
        return result.passed() ? ExitCode.OK : ExitCode.SOFTWARE;
      }
      for (LlamaComparison.Result each :
          LlamaComparison.compare(folder, backend, llama, threads, shared.seed())) {
        print(each, each.line());
        passes &= each.passed();
      }
    }
    return passes ? ExitCode.OK : ExitCode.SOFTWARE;
  }

  /** Replays, counts and prints the cases that need no device. */
  private void tell(List<CaseResult> results) {
    for (CaseResult result : results) {
      tell(result, "none");
    }
  }

  private void tell(CaseResult result, String device) {
    if (result.passed()) {
      passed++;
    } else if (!result.skipped().isEmpty()) {
      skipped++;
    } else {
      failed++;
    }
    print(result.json(device), result.line());
  }

  private void print(Object json, String line) {
    PrintWriter out = shared.out();
    out.println(shared.json() ? JSON.writeValueAsString(json) : line);
    out.flush();
  }
}
