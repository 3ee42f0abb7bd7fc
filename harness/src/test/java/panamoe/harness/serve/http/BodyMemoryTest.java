package panamoe.harness.serve.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class BodyMemoryTest {
  @Test
  void bodiesShareTheirRoom() {
    BodyMemory room = new BodyMemory(1 << 20);
    BodyMemory.Share first = room.share();
    first.grow(900 << 10);
    BodyMemory.Share second = room.share();
    second.grow(64 << 10); // small
    assertEquals(429, assertThrows(ApiError.class, () -> second.grow(300 << 10)).status());
    first.grow(1 << 20);
    first.close();
    second.grow(300 << 10);
    second.close();
    second.close();
    BodyMemory.Share alone = room.share();
    alone.grow(16 << 20); // a single one may have more
    assertThrows(ApiError.class, () -> room.share().grow(65 << 10));
  }
}
