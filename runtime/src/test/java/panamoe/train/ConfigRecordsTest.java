package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import panamoe.io.ConfigJson;
import panamoe.model.ModelPresets;
import panamoe.model.ModelPresets.Architecture;
import panamoe.model.ModelPresets.Size;
import panamoe.moe.MoeConfig;

/**
 * Every key of every record of a config, given nothing or what it cannot be, is refused with its
 * name.
 */
class ConfigRecordsTest {
  private static final RunConfig CONFIG =
      new RunConfig(
          ModelPresets.of(Size.TINY, Architecture.PR_MOE, 256), TrainConfig.of(10, 4, 16), 1);

  private int asked;

  @Test
  void inJsonNothingStandsForNoKey() {
    walk(CONFIG, List.of(), (component, path) -> assertRefused(path, NullNode.getInstance()));
    assertTrue(asked > 40, asked + " keys");
  }

  @Test
  void aKeyOfAnotherTypeIsRefused() {
    JsonNodeFactory json = JsonNodeFactory.instance;
    walk(
        CONFIG,
        List.of(),
        (component, path) -> {
          assertRefused(path, json.textNode("none of these")); // no name of an enum either
          assertRefused(path, json.objectNode().put("a", 1));
          assertRefused(path, json.arrayNode().addNull());
          if (component.getType() != double.class) {
            assertRefused(path, json.numberNode(1.5));
          }
        });
    assertTrue(asked > 150, asked + " values");
  }

  @Test
  void inJavaNullIsRefusedWithItsName() throws ReflectiveOperationException {
    List<Record> records =
        new ArrayList<>(
            List.of(
                CONFIG,
                new MoeConfig(
                    8, 8, 4, false, CONFIG.model().activation(), true, CONFIG.model().gate())));
    walk(
        CONFIG,
        List.of(),
        (component, path) -> {
          if (component.getType().isRecord()) {
            records.add((Record) valueOf(component, parent(path)));
          }
        });
    for (Record each : records) {
      RecordComponent[] components = each.getClass().getRecordComponents();
      Constructor<?> constructor =
          each.getClass()
              .getDeclaredConstructor(
                  Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
      for (int i = 0; i < components.length; i++) {
        if (!components[i].getType().isPrimitive()) {
          Object[] values =
              Arrays.stream(components).map(component -> valueOf(component, each)).toArray();
          values[i] = null;
          Throwable refused =
              assertThrows(InvocationTargetException.class, () -> constructor.newInstance(values))
                  .getCause();
          assertEquals(
              IllegalArgumentException.class, refused.getClass(), components[i] + ": " + refused);
          assertTrue(refused.getMessage().contains(components[i].getName()), refused.getMessage());
        }
      }
    }
    assertTrue(records.size() > 3, records.toString());
  }

  private void assertRefused(List<String> path, JsonNode value) {
    asked++;
    ObjectNode whole = (ObjectNode) ConfigJson.tree(CONFIG);
    ObjectNode parent = whole;
    for (String key : path.subList(0, path.size() - 1)) {
      parent = (ObjectNode) parent.get(key);
    }
    JsonNode before = parent.get(path.getLast());
    parent.set(path.getLast(), value);
    String told = path + " is " + value + " instead of " + before;
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> ConfigJson.read(whole, RunConfig.class, "config.json"),
                told)
            .getMessage();
    assertTrue(
        message.startsWith("config.json: ") && message.contains(path.getLast()),
        told + ": " + message);
    assertEquals(1, message.lines().count(), message);
  }

  /**
   * Calls {@code each} for every component of a record and of those in it, with its path of keys.
   */
  private static void walk(
      Record from, List<String> path, BiConsumer<RecordComponent, List<String>> each) {
    for (RecordComponent component : from.getClass().getRecordComponents()) {
      List<String> here = new ArrayList<>(path);
      here.add(component.getName());
      each.accept(component, here);
      if (valueOf(component, from) instanceof Record inner) {
        walk(inner, here, each);
      }
    }
  }

  private static Record parent(List<String> path) {
    Object at = CONFIG;
    for (String key : path.subList(0, path.size() - 1)) {
      Object record = at;
      at =
          Arrays.stream(record.getClass().getRecordComponents())
              .filter(component -> component.getName().equals(key))
              .map(component -> valueOf(component, record))
              .findFirst()
              .orElseThrow();
    }
    return (Record) at;
  }

  private static Object valueOf(RecordComponent component, Object record) {
    try {
      return component.getAccessor().invoke(record);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }
}
