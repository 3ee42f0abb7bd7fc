package panamoe.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings;
import panamoe.backend.GateSettings;
import panamoe.io.ConfigJson;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A configuration reaches all of the C ABI's gate and attention: every field of their structs, and
 * every value of their enums.
 */
class AbiReachTest {
  /** Field of {@code moe_gate_config}: component of GateSettings, key, another value for it. */
  private record Reach(String setting, String key, Object other) {}

  private static final Map<String, Reach> GATE =
      Map.ofEntries(
          Map.entry("top_k", new Reach("topK", "topK", 3)),
          Map.entry("score", new Reach("score", "score", "SOFTMAX")),
          Map.entry("drop_policy", new Reach("queues.policy", "capacity.policy", "POSITION")),
          Map.entry(
              "queue_order", new Reach("queues.order", "capacity.queueOrder", "CHOICE_MAJOR")),
          Map.entry(
              "normalization", new Reach("weighting.normalization", "weight.normalization", "RAW")),
          Map.entry("capacity", new Reach("queues.capacity", "capacity.policy", "PROBABILITY")),
          Map.entry("groups", new Reach("groups.count", "choice.groups", 2)),
          Map.entry("chosen_groups", new Reach("groups.chosen", "choice.chosenGroups", 3)),
          Map.entry("group_score", new Reach("groups.score", "choice.groupScore", "MAXIMUM")),
          Map.entry(
              "auxiliary_choices", new Reach("auxiliaryChoices", "loss.overAllChoices", false)),
          Map.entry(
              "noise_first_choice",
              new Reach("noiseFirstChoice", "choice.noise", "GUMBEL_FROM_SECOND")),
          Map.entry("normalization_epsilon", new Reach("weighting.epsilon", "weight.epsilon", 0.5)),
          Map.entry("weight_scale", new Reach("weighting.scale", "weight.scale", 0.5)),
          Map.entry("denominator_offset", new Reach("weighting.offset", "weight.offset", 0.5)));

  private static final Map<String, Reach> ATTENTION =
      Map.of(
          "mask", new Reach("mask", "scores.mask", "FULL"),
          "window", new Reach("window", "scores.window", 5),
          "soft_cap", new Reach("softCap", "scores.softCap", 2.0),
          "scale", new Reach("scale", "scores.scale", 0.75));

  /** Tensors of a call: the key that brings them, or the argument of the facade. */
  private static final Map<String, String> GATE_INPUTS =
      Map.of(
          "logits", "routerBias",
          "used", "panamoe.api.MoeLayer.forward",
          "bias", "choice.correctionBias",
          "noise", "choice.noise",
          "priority", "capacity.policy");

  private static final Map<String, Class<? extends Enum<?>>> ENUMS =
      Map.of(
          "moe_score", GateSettings.Score.class,
          "moe_drop_policy", GateSettings.DropPolicy.class,
          "moe_queue_order", GateSettings.QueueOrder.class,
          "moe_normalization", GateSettings.Normalization.class,
          "moe_group_score", GateSettings.GroupScore.class,
          "moe_mask", AttentionSettings.Mask.class,
          "moe_activation", Activation.Kind.class);

  @Test
  void everyFieldOfTheGateHasAKey() throws IOException {
    assertEquals(GATE.keySet(), fields("gate.h", "moe_gate_config"));
    ObjectNode gate = gate();
    GateSettings before = settings(gate);
    GATE.forEach(
        (field, reach) ->
            assertNotEquals(
                component(before, reach.setting),
                component(settings(changed(gate, reach)), reach.setting),
                field));
  }

  @Test
  void everyFieldOfAttentionHasAKey() throws IOException {
    assertEquals(ATTENTION.keySet(), fields("attention.h", "moe_attention_config"));
    GroupedQueryConfig config =
        (GroupedQueryConfig) EveryPart.model().blocks().getLast().attention();
    ObjectNode tree = (ObjectNode) ConfigJson.tree(config);
    ATTENTION.forEach(
        (field, reach) ->
            assertNotEquals(
                component(config.settings(), reach.setting),
                component(
                    ConfigJson.read(changed(tree, reach), GroupedQueryConfig.class, "changed")
                        .settings(),
                    reach.setting),
                field));
  }

  @Test
  void everyTensorHasAKeyOrAnArgument() throws IOException {
    assertEquals(GATE_INPUTS.keySet(), fields("gate.h", "moe_gate_inputs"));
    GATE_INPUTS.values().stream()
        .filter(key -> !key.startsWith("panamoe.api"))
        .forEach(key -> assertTrue(gate().at(pointer(key)).isValueNode(), key));
    assertEquals(Set.of("q", "k", "v", "sinks"), fields("attention.h", "moe_attention_inputs"));
    assertTrue(EveryPart.model().blocks().get(1).attention().scores().sinks());
  }

  @Test
  void everyValueOfAnEnumHasItsOwn() throws IOException {
    Map<String, List<String>> found = new TreeMap<>();
    for (String header : List.of("gate.h", "attention.h", "elementwise.h")) {
      Matcher enums =
          Pattern.compile("typedef enum (\\w+) \\{(.*?)}", Pattern.DOTALL).matcher(header(header));
      while (enums.find()) {
        List<String> values =
            Pattern.compile("MOE_(\\w+) = ")
                .matcher(enums.group(2))
                .results()
                .map(match -> match.group(1))
                .toList();
        found.put(enums.group(1), values);
      }
    }
    assertEquals(ENUMS.keySet(), found.keySet());
    found.forEach(
        (name, values) -> {
          Enum<?>[] constants = ENUMS.get(name).getEnumConstants();
          for (int i = 0; i < values.size(); i++) {
            assertTrue(values.get(i).endsWith(constants[i].name()), values.get(i) + " of " + name);
          }
          // A custom activation has no constant in the C enum.
          int brought = name.equals("moe_activation") ? 1 : 0;
          assertEquals(values.size() + brought, constants.length, name);
        });
  }

  private static ObjectNode gate() {
    MoeConfig moe = (MoeConfig) EveryPart.model().blocks().get(1).feedForward();
    return (ObjectNode) ConfigJson.tree(moe.gate());
  }

  private static GateSettings settings(JsonNode gate) {
    return ConfigJson.read(gate, GateConfig.class, "changed").settings(100, 8, true);
  }

  /**
   * A copy in which the reach's key has its other value; a choice has a bias or noise, not both.
   */
  private static ObjectNode changed(ObjectNode tree, Reach reach) {
    ObjectNode copy = tree.deepCopy();
    String pointer = pointer(reach.key);
    ObjectNode parent = (ObjectNode) copy.at(pointer.substring(0, pointer.lastIndexOf('/')));
    parent.set(
        pointer.substring(pointer.lastIndexOf('/') + 1),
        JsonMapper.shared().valueToTree(reach.other));
    if (reach.key.equals("choice.noise")) {
      parent.put("correctionBias", false);
      ((ObjectNode) copy.get("loss")).remove("biasRate");
    }
    return copy;
  }

  private static String pointer(String key) {
    return "/" + key.replace('.', '/');
  }

  /**
   * @param path of the component, through records within records
   */
  private static Object component(Record settings, String path) {
    Object value = settings;
    for (String name : path.split("\\.")) {
      value = named((Record) value, name);
    }
    return value;
  }

  private static Object named(Record settings, String name) {
    return Arrays.stream(settings.getClass().getRecordComponents())
        .filter(component -> component.getName().equals(name))
        .map(
            component -> {
              try {
                return component.getAccessor().invoke(settings);
              } catch (ReflectiveOperationException e) {
                throw new AssertionError(e);
              }
            })
        .findFirst()
        .orElseThrow();
  }

  /** The fields of a struct, its size aside. */
  private static Set<String> fields(String header, String struct) throws IOException {
    Matcher body =
        Pattern.compile("typedef struct " + struct + " \\{(.*?)} " + struct, Pattern.DOTALL)
            .matcher(header(header));
    assertTrue(body.find(), struct);
    return Pattern.compile("(\\w+);")
        .matcher(body.group(1))
        .results()
        .map(match -> match.group(1))
        .filter(field -> !field.equals("struct_size"))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /** A header without its comments. */
  private static String header(String name) throws IOException {
    String text = Files.readString(Path.of("../native/include/moe").resolve(name));
    return text.replaceAll("(?s)/\\*.*?\\*/", "");
  }
}
