package panamoe.model.family;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.SavedFile;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The {@code adapter_config.json} of PEFT's low-rank adapters. Immutable. */
record PeftConfig(Path file, ObjectNode keys) {
  static final String FILE = "adapter_config.json";

  /** The file of weights of older versions. */
  static final String PICKLE = "adapter_model.bin";

  private static final int MAX_BYTES = 16 << 20;

  /** Keys that are read, or that do not change the model with the adapter. */
  private static final Set<String> KNOWN =
      Set.of(
          "alpha_pattern",
          "arrow_config",
          "auto_mapping",
          "base_model_name_or_path",
          "corda_config",
          "ensure_weight_tying",
          "eva_config",
          "exclude_modules",
          "inference_mode",
          "layers_pattern",
          "layers_to_transform",
          "loftq_config",
          "lora_alpha",
          "lora_dropout",
          "lora_ga_config",
          "megatron_config",
          "megatron_core",
          "peft_version",
          "qalora_group_size",
          "r",
          "rank_pattern",
          "revision",
          "runtime_config",
          "target_modules",
          "target_parameters",
          "task_type",
          "use_rslora");

  /** Initial values that leave the model's own weights as they are; also true and false. */
  private static final Set<String> INITIAL = Set.of("gaussian", "eva", "orthogonal");

  /**
   * Reads the file of a folder.
   *
   * @throws CheckpointException if it is missing, or says more than low-rank matrices; names the
   *     key
   */
  static PeftConfig read(Path folder) {
    Path file = folder.resolve(FILE);
    PeftConfig config = new PeftConfig(file, SavedFile.object(file, MAX_BYTES));
    config.requireSupported();
    return config;
  }

  private void requireSupported() {
    for (Map.Entry<String, JsonNode> entry : keys.properties()) {
      String key = entry.getKey();
      JsonNode value = entry.getValue();
      boolean unset =
          value.isNull()
              || value.isBoolean() && !value.booleanValue()
              || value.isContainer() && value.isEmpty();
      String words = value.asString("");
      boolean supported =
          switch (key) {
            case "peft_type" -> words.equals("LORA");
            case "bias" -> words.equals("none");
            case "init_lora_weights" -> value.isBoolean() || INITIAL.contains(words);
            default -> unset || KNOWN.contains(key);
          };
      if (!supported) {
        throw bad(key, "is not supported: expected LORA without additions to its two matrices");
      }
    }
    if (!keys.path("peft_type").isString()) {
      throw bad("peft_type", "is not LORA");
    }
  }

  private CheckpointException bad(String key, String problem) {
    JsonNode value = keys.path(key);
    return new CheckpointException(
        "%s: %s is %s, which %s", file, key, value.isMissingNode() ? "missing" : value, problem);
  }

  /** Whether a parameter is one of {@code target_parameters}; all are if it is not there. */
  boolean targets(String parameter) {
    JsonNode names = keys.path("target_parameters");
    if (names.isEmpty()) {
      return true;
    }
    for (JsonNode name : names) {
      if (("." + parameter).endsWith("." + name.asString(""))) {
        return true;
      }
    }
    return false;
  }

  /** The rank of a module or parameter, by the names that it may have in patterns. */
  int rank(List<String> names) {
    JsonNode value = value("r", "rank_pattern", names);
    if (!value.isIntegralNumber() || value.asLong() < 1 || value.asLong() > Integer.MAX_VALUE) {
      throw bad("r", "is no whole number from 1");
    }
    return value.intValue();
  }

  /** The factor of a module's or parameter's change. */
  double scale(List<String> names) {
    JsonNode alpha = value("lora_alpha", "alpha_pattern", names);
    if (!alpha.isNumber() || !Double.isFinite(alpha.doubleValue())) {
      throw bad("lora_alpha", "is no number");
    }
    double rank = rank(names);
    boolean stabilised = keys.path("use_rslora").asBoolean(false);
    return alpha.doubleValue() / (stabilised ? Math.sqrt(rank) : rank);
  }

  /** As in PEFT, the first pattern counts that matches a name, or its end behind a dot. */
  private JsonNode value(String key, String patterns, List<String> names) {
    for (Map.Entry<String, JsonNode> entry : keys.path(patterns).properties()) {
      try {
        Pattern pattern = Pattern.compile("(.*\\.)?(" + entry.getKey() + ")");
        if (names.stream().anyMatch(name -> pattern.matcher(name).matches())) {
          return entry.getValue();
        }
      } catch (PatternSyntaxException e) {
        throw bad(patterns, "has a pattern that cannot be read: " + e.getDescription());
      }
    }
    return keys.path(key);
  }

  /**
   * Writes the file.
   *
   * @param adapters of modules' tensors
   * @param base the model's name or path; may be null
   */
  static void write(
      Path folder, AdaptedTensors tensors, Map<String, List<LowRank>> adapters, String base)
      throws IOException {
    LowRank first = adapters.values().iterator().next().getFirst();
    ObjectNode keys = JsonNodeFactory.instance.objectNode();
    keys.put("peft_type", "LORA")
        .put("task_type", "CAUSAL_LM")
        .put("base_model_name_or_path", base)
        .put("inference_mode", true)
        .put("r", first.rank());
    putNumber(keys, "lora_alpha", first.scale() * first.rank());
    keys.put("use_rslora", false)
        .put("lora_dropout", 0.0)
        .put("bias", "none")
        .put("fan_in_fan_out", false)
        .put("init_lora_weights", true)
        .putNull("modules_to_save");
    ArrayNode modules = keys.putArray("target_modules");
    ArrayNode parameters = keys.putArray("target_parameters");
    ObjectNode ranks = keys.putObject("rank_pattern");
    ObjectNode alphas = keys.putObject("alpha_pattern");
    for (Map.Entry<String, List<String>> kind : kinds(tensors).entrySet()) {
      List<String> adapted = kind.getValue().stream().filter(adapters::containsKey).toList();
      boolean all = adapted.equals(kind.getValue());
      for (String tensor : adapted) {
        boolean parameter = isParameter(tensor, tensors);
        String name = parameter ? tensor : module(tensor);
        LowRank one = adapters.get(tensor).getFirst();
        if (one.rank() != first.rank() || one.scale() != first.scale()) {
          String pattern = name.replace(".", "\\.");
          ranks.put(pattern, one.rank());
          putNumber(alphas, pattern, one.scale() * one.rank());
        }
        if (!all) {
          (parameter ? parameters : modules).add(name);
        }
      }
      if (all && !adapted.isEmpty()) {
        boolean parameter = isParameter(adapted.getFirst(), tensors);
        (parameter ? parameters : modules).add(kind.getKey());
      }
    }
    Files.writeString(folder.resolve(FILE), keys.toPrettyString() + "\n");
  }

  private static void putNumber(ObjectNode keys, String key, double value) {
    if (value == Math.rint(value) && Math.abs(value) < Integer.MAX_VALUE) {
      keys.put(key, (int) value);
    } else {
      keys.put(key, value);
    }
  }

  /** The tensors of modules by their names within a layer. */
  private static Map<String, List<String>> kinds(AdaptedTensors tensors) {
    Map<String, List<String>> kinds = new LinkedHashMap<>();
    for (String tensor : tensors.modules()) {
      String name = isParameter(tensor, tensors) ? tensor : module(tensor);
      String kind = name.replaceFirst("^.*\\.layers\\.\\d+\\.", "");
      kinds.computeIfAbsent(kind, _ -> new ArrayList<>()).add(tensor);
    }
    return kinds;
  }

  private static String module(String tensor) {
    return tensor.substring(0, tensor.lastIndexOf('.'));
  }

  /** Stacks and routers are parameters of modules that are not linear. */
  private static boolean isParameter(String tensor, AdaptedTensors tensors) {
    return tensors.shape(tensor).length == 3 || tensors.isRouter(tensor);
  }
}
