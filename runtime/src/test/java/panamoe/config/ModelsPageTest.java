package panamoe.config;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** docs/models.md names every key of a model's configuration, and every value of its enums. */
class ModelsPageTest {
  @Test
  void everyKeyIsOnThePage() throws IOException, ReflectiveOperationException {
    String page = Files.readString(Path.of("../docs/models.md"));
    walk(EveryPart.model(), page);
  }

  private static void walk(Record record, String page) throws ReflectiveOperationException {
    for (RecordComponent component : record.getClass().getRecordComponents()) {
      String key = component.getName();
      assertTrue(page.matches("(?s).*[`.\"]" + key + "[`.\"].*"), key + " of " + record.getClass());
      if (component.getType().isEnum()) {
        for (Object value : component.getType().getEnumConstants()) {
          assertTrue(page.contains("`" + value + "`"), value + " of " + key);
        }
      }
      Object value = component.getAccessor().invoke(record);
      if (value instanceof Record inner) {
        walk(inner, page);
      } else if (value instanceof List<?> list) {
        for (Object each : list) {
          walk((Record) each, page);
        }
      }
    }
  }
}
