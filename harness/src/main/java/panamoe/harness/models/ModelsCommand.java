package panamoe.harness.models;

import java.io.PrintWriter;
import java.time.ZoneId;
import java.util.List;
import panamoe.harness.HubModels;
import panamoe.harness.Subcommand;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.open.hub.HubCache;
import panamoe.open.hub.HubSettings;
import panamoe.open.hub.ModelName;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe models}. */
@Command(
    name = "models",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Lists the models in the cache of the Hugging Face hub: size, last use, name; or removes some.",
    footer = {
      "",
      "Examples:",
      "  panamoe models",
      "  panamoe models --remove hf:Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M   this quantisation",
      "  panamoe models --remove hf:Qwen/Qwen3-30B-A3B-GGUF          all of this revision",
      "",
      "Contents that another revision shares stay. Other programs see what is left, and what they",
      "have fetched is listed too."
    })
public final class ModelsCommand implements Subcommand {
  @Spec private CommandSpec spec;

  @Option(
      names = "--remove",
      arity = "1..*",
      paramLabel = "NAME",
      description = "Remove these models, by the names that are listed.")
  private List<String> removed = List.of();

  @Option(names = "--json", description = "Print JSON, one object per line.")
  private boolean json;

  @Override
  public Integer call() {
    HubCache cache = new HubCache(HubSettings.of(System.getenv()).cache());
    PrintWriter out = spec.commandLine().getOut();
    for (ModelName name : removed.stream().map(this::name).toList()) {
      out.println("removed " + name + ": " + Count.bytes(cache.remove(name)) + " are free");
    }
    if (removed.isEmpty()) {
      List<HubCache.Model> models = cache.models();
      models.forEach(model -> out.println(json ? json(model) : line(model)));
      if (!json) {
        long bytes = models.stream().mapToLong(HubCache.Model::bytes).sum();
        String shared = models.stream().anyMatch(model -> model.shared() > 0) ? " or less" : "";
        out.println(
            Words.of(
                "%s, %s%s, in %s",
                Count.of(models.size(), "model"), Count.bytes(bytes), shared, cache.folder()));
      }
    }
    return 0;
  }

  private ModelName name(String text) {
    return HubModels.name(text, spec)
        .orElseThrow(
            () ->
                new ParameterException(
                    spec.commandLine(), "'" + text + "' is no name that panamoe models lists"));
  }

  private static String line(HubCache.Model model) {
    String used =
        model
            .used()
            .map(time -> time.toInstant().atZone(ZoneId.systemDefault()).toLocalDate().toString())
            .orElse("unfinished");
    String shared = model.shared() == 0 ? "" : "  (shares " + Count.bytes(model.shared()) + ")";
    return Words.of("%12s  %-10s  %s%s", Count.bytes(model.bytes()), used, model.name(), shared);
  }

  private static ObjectNode json(HubCache.Model model) {
    ObjectNode json = JsonNodeFactory.instance.objectNode().put("name", model.name().toString());
    json.put("bytes", model.bytes()).put("shared_bytes", model.shared());
    model.used().ifPresent(time -> json.put("used", time.toString()));
    return json.put("path", model.snapshot() == null ? null : model.snapshot().toString());
  }
}
