package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class StatusTest {
  @BeforeAll
  static void load() {
    NativeLibrary.ensureAvailable();
  }

  @Test
  void successPasses() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment device = arena.allocate(Moe.C_LONG);
      assertDoesNotThrow(
          () ->
              Status.check(
                  Moe.moe_device_open(arena.allocateFrom("cpu"), 0, device), "moe_device_open"));
      assertDoesNotThrow(
          () -> Status.check(Moe.moe_device_close(device.get(Moe.C_LONG, 0)), "moe_device_close"));
    }
  }

  @Test
  void failureCarriesStatusFunctionAndTheSentenceOfTheLibrary() {
    NativeException exception =
        assertThrows(
            NativeException.class, () -> Status.check(Moe.moe_device_close(0), "moe_device_close"));
    assertEquals(Moe.MOE_INVALID_HANDLE(), exception.status());
    assertEquals("moe_device_close", exception.function());
    assertTrue(
        exception.getMessage().matches("moe_device_close: .+ \\(MOE_INVALID_HANDLE\\)"),
        exception.getMessage());
    assertEquals(
        "moe_device_close: " + exception.reason() + " (MOE_INVALID_HANDLE)",
        exception.getMessage());
  }

  @Test
  void aBadArgumentAndALackOfMemoryAreTheirOwnExceptions() {
    IllegalArgumentException badArgument =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                Status.check(
                    Moe.moe_device_open(MemorySegment.NULL, 0, MemorySegment.NULL),
                    "moe_device_open"));
    assertEquals("moe_device_open: backend is null", badArgument.getMessage());
    assertThrows(
        OutOfMemoryError.class, () -> Status.check(Moe.MOE_OUT_OF_MEMORY(), "moe_memory_allocate"));
  }

  @Test
  void aStatusThatTheBindingsDoNotKnowIsShownAsANumber() {
    assertEquals(
        "moe_gemm: a reason (unknown status 99)",
        new NativeException(99, "moe_gemm", "moe_gemm: a reason").getMessage());
  }
}
