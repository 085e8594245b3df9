// Uses the parts of the C++ standard library that a function may need, and returns the source text of each expectation that failed.

#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <codecvt>
#include <condition_variable>
#include <cstdlib>
#include <cwctype>
#include <filesystem>
#include <fstream>
#include <future>
#include <iomanip>
#include <iostream>
#include <limits>
#include <locale>
#include <memory_resource>
#include <mutex>
#include <random>
#include <regex>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <typeinfo>
#include <unordered_map>
#include <vector>

static std::string failed, events;
static std::atomic<int> expected{0};

#define EXPECT(...) (++expected, (__VA_ARGS__) ? void() : void(failed += #__VA_ARGS__ "\n"))

template <class Thrown, class Call> static bool throws(Call call) {
  try {
    call();
  } catch (const Thrown &) {
    return true;
  }
  return false;
}

struct Noted {
  std::string name;
  explicit Noted(const char *name) : name(name) { events += "+" + this->name; }
  ~Noted() { events += "-" + name; }
};

static Noted first("first"), second("second");

static void exceptions() {
  EXPECT(events == "+first+second");
  events.clear();
  try {
    Noted unwound("unwound");
    try {
      throw std::out_of_range("inner");
    } catch (...) {
      std::throw_with_nested(std::runtime_error("outer"));
    }
  } catch (const std::runtime_error &error) {
    EXPECT(throws<std::out_of_range>([&] { std::rethrow_if_nested(error); }));
  }
  EXPECT(events == "+unwound-unwound");
  auto thrown = std::async(std::launch::async, []() -> int { throw std::invalid_argument("in a thread"); });
  EXPECT(throws<std::invalid_argument>([&] { thrown.get(); }));
  EXPECT(throws<std::length_error>([] { std::vector<int>().reserve(~0ull); }));
  static void *volatile memory;
  EXPECT(throws<std::bad_alloc>([] { memory = ::operator new(1ull << 62); }));
  struct Base {
    virtual ~Base() = default;
  };
  struct Derived : Base {};
  struct Other : Base {};
  Derived derived;
  Base &base = derived;
  EXPECT(typeid(base) == typeid(Derived) && throws<std::bad_cast>([&] { (void)dynamic_cast<Other &>(base); }));
}

static int once() {
  static int value = (std::this_thread::sleep_for(std::chrono::milliseconds(1)), 1);
  return value;
}

static void threads() {
  events.clear();
  std::thread([] {
    static thread_local Noted one("1"), two("2");
    events += one.name + two.name;
  }).join();
  EXPECT(events == "+1+212-2-1");
  std::atomic<int> sum{0};
  std::vector<std::thread> all;
  for (int i = 0; i < 8; i++)
    all.emplace_back([&] {
      for (int j = 0; j < 1000; j++) sum += once();
    });
  for (auto &thread : all) thread.join();
  EXPECT(sum == 8000);
  std::mutex mutex;
  std::condition_variable changed;
  bool is_ready = false;
  std::thread waker([&] {
    std::lock_guard<std::mutex> lock(mutex);
    is_ready = true;
    changed.notify_all();
  });
  {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return is_ready; });
    EXPECT(changed.wait_for(lock, std::chrono::milliseconds(5)) == std::cv_status::timeout);
  }
  waker.join();
  std::recursive_mutex recursive;
  recursive.lock();
  EXPECT(recursive.try_lock());
  std::shared_timed_mutex shared;
  shared.lock_shared();
  EXPECT(shared.try_lock_shared() && !shared.try_lock_for(std::chrono::milliseconds(5)));
  std::once_flag flag;
  int calls = 0;
  for (int i = 0; i < 3; i++) std::call_once(flag, [&] { calls++; });
  EXPECT(calls == 1);
  EXPECT(std::this_thread::get_id() != std::thread::id() && std::thread::hardware_concurrency() > 0);
}

static void texts() {
  std::ostringstream out;
  out << std::fixed << std::setprecision(2) << 3.14159 << ' ' << std::hex << 255 << ' ' << std::boolalpha << true << 2.5L;
  EXPECT(out.str() == "3.14 ff true2.50");
  std::istringstream in("42 2.5 word");
  int integer;
  double number;
  std::string word;
  in >> integer >> number >> word;
  EXPECT(integer == 42 && number == 2.5 && word == "word");
  std::wostringstream wide;
  wide << L"w" << 1.5 << std::setw(4) << 7;
  EXPECT(wide.str() == L"w1.5   7");
  EXPECT(std::regex_replace("a1b22", std::regex("[[:digit:]]+"), "#") == "a#b#");
  EXPECT(throws<std::regex_error>([] { std::regex("("); }));
  const std::string text = "2.75";
  double parsed = 0;
  EXPECT(std::from_chars(text.data(), text.data() + 4, parsed).ec == std::errc() && parsed == 2.75);
  char buffer[32];
  EXPECT(std::string(buffer, std::to_chars(buffer, buffer + 32, 0.1).ptr) == "0.1");
  EXPECT(std::stod("1e3") == 1000 && std::to_string(42) == "42");
  EXPECT(std::unordered_map<std::string, int>{{"a", 1}, {"b", 2}}.at("b") == 2);
  std::wstring_convert<std::codecvt_utf8<wchar_t>> utf8;
  EXPECT(utf8.to_bytes(L"\u20ac") == "\xe2\x82\xac");
}

static void files() {
  namespace fs = std::filesystem;
  char name[] = "/tmp/library.XXXXXX";
  const fs::path directory = mkdtemp(name);
  {
    std::ofstream file(directory / "a");
    file << "line 1\nline 2\n";
    std::wofstream wide(directory / "w");
    wide.imbue(std::locale("C.UTF-8"));
    wide << L"\u00e4";
  }
  std::ifstream file(directory / "a");
  std::string line;
  std::getline(file, line);
  EXPECT(line == "line 1" && file.seekg(-2, std::ios::end) && file.get() == '2' && file.tellg() == 13);
  EXPECT(fs::file_size(directory / "a") == 14 && fs::file_size(directory / "w") == 2);
  fs::create_directories(directory / "b/c");
  fs::copy_file(directory / "a", directory / "b/c/d");
  fs::rename(directory / "b/c/d", directory / "e");
  fs::create_symlink("a", directory / "link");
  EXPECT(fs::read_symlink(directory / "link") == "a" && fs::equivalent(directory / "link", directory / "a"));
  size_t count = 0;
  for (const auto &entry : fs::recursive_directory_iterator(directory)) count += entry.exists();
  EXPECT(count == 6);
  fs::permissions(directory / "e", fs::perms::owner_read);
  EXPECT(fs::status(directory / "e").permissions() == fs::perms::owner_read);
  fs::resize_file(directory / "a", 3);
  EXPECT(fs::file_size(directory / "a") == 3 && fs::space(directory).capacity > 0);
  EXPECT(fs::last_write_time(directory) <= fs::file_time_type::clock::now());
  std::error_code code;
  EXPECT(!fs::remove(directory / "none/x", code) && fs::file_size(directory / "none", code) == ~0ull);
  EXPECT(code == std::errc::no_such_file_or_directory && code.message() == "No such file or directory");
  EXPECT(fs::remove_all(directory) == 7);
}

static void locales() {
  for (int c = 0; c < 128; c++) {
    const std::locale classic = std::locale::classic();
    const char narrow = static_cast<char>(c);
    const wchar_t wide = static_cast<wchar_t>(c);
    EXPECT(std::isalpha(narrow, classic) == !!std::isalpha(c) && std::isdigit(narrow, classic) == !!std::isdigit(c));
    EXPECT(std::isgraph(narrow, classic) == !!std::isgraph(c) && std::isspace(narrow, classic) == !!std::isspace(c));
    EXPECT(std::iscntrl(narrow, classic) == !!std::iscntrl(c) && std::isxdigit(narrow, classic) == !!std::isxdigit(c));
    EXPECT(std::isprint(narrow, classic) == !!std::isprint(c) && std::ispunct(narrow, classic) == !!std::ispunct(c));
    EXPECT(std::toupper(narrow, classic) == std::toupper(c) && std::tolower(narrow, classic) == std::tolower(c));
    EXPECT(std::isalnum(wide, classic) == !!std::iswalnum(c) && std::isspace(wide, classic) == !!std::iswspace(c));
  }
  EXPECT(std::toupper(L'\u00e4', std::locale("C.UTF-8")) == L'\u00c4');
  for (const char *name : {"C", "POSIX", "C.UTF-8", "en_US.UTF-8"}) {
    const std::locale locale(name);
    std::tm time{};
    time.tm_wday = 3, time.tm_mon = 1, time.tm_year = 120, time.tm_mday = 4;
    std::ostringstream out;
    out.imbue(locale);
    out << 1234567 << ' ' << 1.5 << ' ' << std::put_time(&time, "%A %b %x");
    EXPECT(out.str() == "1234567 1.5 Wednesday Feb 02/04/20");
    std::wostringstream wide;
    wide.imbue(locale);
    wide << 1234567 << ' ' << 1.5 << ' ' << std::put_time(&time, L"%A %b %x");
    EXPECT(wide.str() == L"1234567 1.5 Wednesday Feb 02/04/20");
    std::istringstream in("Thursday May");
    std::wistringstream wide_in(L"Thursday May");
    in.imbue(locale), wide_in.imbue(locale);
    std::tm read{}, wide_read{};
    EXPECT(in >> std::get_time(&read, "%A %B") && read.tm_wday == 4 && read.tm_mon == 4);
    EXPECT(wide_in >> std::get_time(&wide_read, L"%A %B") && wide_read.tm_wday == 4 && wide_read.tm_mon == 4);
    const std::locale mixed(std::locale::classic(), name, std::locale::numeric | std::locale::time);
    EXPECT(std::use_facet<std::numpunct<wchar_t>>(mixed).decimal_point() == L'.');
    EXPECT(std::use_facet<std::moneypunct<char>>(locale).frac_digits() == 0);
    EXPECT(std::use_facet<std::collate<char>>(locale).compare("a", "a" + 1, "b", "b" + 1) < 0);
  }
  EXPECT(throws<std::runtime_error>([] { std::locale("de_DE.UTF-8"); }));
  // Lambda sets this value.
  setenv("LANG", "en_US.UTF-8", 1);
  EXPECT(std::locale("").name() == "en_US.UTF-8");
}

static void numbers() {
  std::random_device random;
  EXPECT(random() != random() || random() != random());
  EXPECT(std::uniform_int_distribution<>(1, 6)(random) <= 6 && std::cyl_bessel_j(0, 0) == 1);
  EXPECT(std::isnan(NAN) && !std::isinf(1.0) && std::numeric_limits<long double>::digits >= 64);
  __int128 big = 1;
  for (int i = 0; i < 30; i++) big *= 10;
  EXPECT(static_cast<long>(big / 1000000000000000000) == 1000000000000);
  std::pmr::synchronized_pool_resource pool;
  std::pmr::vector<int> pooled(1000, 7, &pool);
  EXPECT(pooled[999] == 7);
}

extern "C" const char *use_the_library(int *count) {
  for (auto part : {exceptions, threads, texts, files, locales, numbers}) {
    try {
      part();
    } catch (const std::exception &error) {
      failed += std::string("threw: ") + error.what() + "\n";
    }
  }
  std::cout << "to cout" << std::endl;
  std::wcerr << L"to wcerr" << std::endl;
  *count = expected;
  return failed.c_str();
}

// Calls Rust from C++. A panic passes through this function, and the guard is destroyed as usual.
extern "C" bool call_through(void (*call)(), int *destroyed) {
  struct Guard {
    int *destroyed;
    ~Guard() { ++*destroyed; }
  } guard{destroyed};
  try {
    call();
    return false;
  } catch (const std::runtime_error &) {
    return true;
  }
}

extern "C" void throw_an_error() { throw std::runtime_error("through Rust"); }
