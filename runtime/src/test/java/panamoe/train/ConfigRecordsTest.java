package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.config.EveryPart;
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.NullNode;
import tools.jackson.databind.node.ObjectNode;

/** Every component of every record of a configuration that has every part. */
class ConfigRecordsTest {
  private static final RunConfig CONFIG =
      new RunConfig(EveryPart.model(), TrainConfig.of(10, 4, 16), 1);

  /**
   * A component of a record in the configuration.
   *
   * @param path of its key; the index of a list's element is a number
   */
  private record Place(Record parent, RecordComponent component, List<Object> path) {
    boolean omittable() {
      return component.isAnnotationPresent(Omittable.class);
    }
  }

  private int asked;

  @Test
  void readsWhatItWrites() {
    assertEquals(CONFIG, ConfigJson.read(ConfigJson.tree(CONFIG), RunConfig.class, "config.json"));
  }

  @Test
  void aKeyIsThereUnlessItsPartIsOmittable() {
    walk(
        CONFIG,
        List.of(),
        place -> {
          if (place.omittable()) {
            read(place.path, NullNode.getInstance());
          } else {
            assertRefused(place.path, NullNode.getInstance());
          }
        });
    assertTrue(asked > 60, asked + " keys");
  }

  @Test
  void aKeyOfAnotherTypeIsRefused() {
    JsonNodeFactory json = JsonNodeFactory.instance;
    walk(
        CONFIG,
        List.of(),
        place -> {
          Class<?> type = place.component.getType();
          assertRefused(place.path, json.stringNode("none of these")); // no name of an enum either
          assertRefused(place.path, json.objectNode().put("a", 1));
          assertRefused(place.path, json.arrayNode().addNull());
          if (type != double.class && type != Double.class) {
            assertRefused(place.path, json.numberNode(1.5));
          }
        });
    assertTrue(asked > 250, asked + " values");
  }

  @Test
  void aDTypeNotTrainedInIsAnsweredWithThoseThatAre() {
    JsonNodeFactory json = JsonNodeFactory.instance;
    for (JsonNode wrong :
        List.of(json.stringNode("INT32"), json.stringNode("F32"), json.numberNode(0))) {
      assertEquals(
          "config.json: at $.training.dtype: expected one of [\"FLOAT32\", \"BFLOAT16\"]",
          assertThrows(
                  IllegalArgumentException.class, () -> read(List.of("training", "dtype"), wrong))
              .getMessage());
    }
  }

  @Test
  void inJavaNullIsRefusedWithItsName() throws ReflectiveOperationException {
    List<Place> places = new ArrayList<>();
    walk(CONFIG, List.of(), places::add);
    int refusals = 0;
    for (Place place : places) {
      if (place.component.getType().isPrimitive() || place.omittable()) {
        continue;
      }
      RecordComponent[] components = place.parent.getClass().getRecordComponents();
      Object[] values =
          Arrays.stream(components)
              .map(
                  each ->
                      each.getName().equals(place.component.getName())
                          ? null
                          : valueOf(each, place.parent))
              .toArray();
      Constructor<?> constructor =
          place
              .parent
              .getClass()
              .getDeclaredConstructor(
                  Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
      Throwable refused =
          assertThrows(InvocationTargetException.class, () -> constructor.newInstance(values))
              .getCause();
      assertEquals(IllegalArgumentException.class, refused.getClass(), place + ": " + refused);
      assertTrue(refused.getMessage().contains(place.component.getName()), refused.getMessage());
      refusals++;
    }
    assertTrue(refusals > 40, refusals + " refusals");
  }

  private void assertRefused(List<Object> path, JsonNode value) {
    asked++;
    String told = path + " is " + value;
    String message =
        assertThrows(IllegalArgumentException.class, () -> read(path, value), told).getMessage();
    assertTrue(
        message.startsWith("config.json: ") && message.contains(path.getLast().toString()),
        told + ": " + message);
    assertEquals(1, message.lines().count(), message);
  }

  private static void read(List<Object> path, JsonNode value) {
    JsonNode whole = ConfigJson.tree(CONFIG);
    JsonNode parent = whole;
    for (Object key : path.subList(0, path.size() - 1)) {
      parent = key instanceof Integer index ? parent.get(index) : parent.get((String) key);
    }
    if (path.getLast() instanceof Integer index) {
      ((ArrayNode) parent).set(index, value);
    } else {
      ((ObjectNode) parent).set((String) path.getLast(), value);
    }
    ConfigJson.read(whole, RunConfig.class, "config.json");
  }

  /** Every component of a record, and of the records in it. */
  private static void walk(Record from, List<Object> path, Consumer<Place> each) {
    for (RecordComponent component : from.getClass().getRecordComponents()) {
      List<Object> here = append(path, component.getName());
      each.accept(new Place(from, component, here));
      switch (valueOf(component, from)) {
        // An activation without parameters is a string.
        case Record inner when !(inner instanceof Activation) -> walk(inner, here, each);
        case List<?> list -> {
          for (int i = 0; i < list.size(); i++) {
            walk((Record) list.get(i), append(here, i), each);
          }
        }
        case null, default -> {}
      }
    }
  }

  private static List<Object> append(List<Object> path, Object key) {
    List<Object> longer = new ArrayList<>(path);
    longer.add(key);
    return longer;
  }

  private static Object valueOf(RecordComponent component, Object record) {
    try {
      return component.getAccessor().invoke(record);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }
}
