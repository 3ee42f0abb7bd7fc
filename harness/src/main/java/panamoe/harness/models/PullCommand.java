package panamoe.harness.models;

import java.util.List;
import panamoe.harness.HubModels;
import panamoe.harness.Subcommand;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code panamoe pull}. */
@Command(
    name = "pull",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Fetches models by name from the Hugging Face hub, and prints where their files are.",
      "What is there is not fetched again, and an interrupted download goes on where it ended."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe pull hf:Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M     GGUF of this quantisation",
      "  panamoe pull hf:Qwen/Qwen3-30B-A3B                 a folder of safetensors",
      "  panamoe pull hf:Qwen/Qwen3-30B-A3B@main            a branch, a tag or a commit",
      "  panamoe chat hf:Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M     fetches it if it is not in the cache",
      "",
      "The cache is that of Hugging Face's programs: HF_HUB_CACHE, or hub in HF_HOME. A token for",
      "private and gated models is in HF_TOKEN, or in the file token in HF_HOME. HF_ENDPOINT names",
      "another hub, https_proxy a proxy. See docs/released-models.md."
    })
public final class PullCommand implements Subcommand {
  @Spec private CommandSpec spec;

  @Parameters(
      arity = "1..*",
      paramLabel = "NAME",
      description = "hf:OWNER/REPO[@REVISION][:QUANTISATION].")
  private List<String> names;

  @Override
  public Integer call() {
    HubModels hub = new HubModels();
    for (String name : names) {
      spec.commandLine().getOut().println(hub.pull(name, spec));
      spec.commandLine().getOut().flush();
    }
    return 0;
  }
}
