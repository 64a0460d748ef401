// The hazard-index policy in plain form (docs/guides/choosing-a-policy.md says what it does). It gives the published
// integers on the public traces by itself; Sources/ has a faster form, which has to decide the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

class HazardCache {
 public:
  // ---- parameters (one set for everything) ----
  static constexpr int bins = 48, nF = 5, nN = 6, nG = 6, classes = nF * nN * nG;
  static constexpr int learnEvery = 50;
  static constexpr double keepFactor = 0.995, admitFactor = 0.9;
  static constexpr double pseudoTheta = 1000, pseudoCell = 1000, pseudoCold = 300;
  static constexpr double guardSlack = 0.0025, guardLimit = 1, guardCredit = 4, guardHold = 8;

  long hits = 0, lruHits = 0, refs = 0, stored = 0, refused = 0, guardTrips = 0;

  HazardCache(int blockCount, int capacity) : C(capacity), record(blockCount), hit(cells), entered(cells), index(cells), active(classes, false) {
    for (int s = 0; s < 2; s++) { segment[s].resize(cells); filled[s].assign(classes, 0); }
    double w = 1;
    for (int i = 0; i <= bins; i++) { edge[i] = (w - 1) / 32; w *= 1.6; }
  }

  // One request: look-up, then storing. Returns the number of leading resident blocks.
  int request(double time, const int* ids, int n) {
    if (time > now || requests == 0) now = time;
    int h = 0, l = 0, known = n;
    while (h < n && record[ids[h]].state == resident) h++;
    while (l < n && record[ids[l]].inLRU) l++;
    while (known > 0 && record[ids[known - 1]].state == untracked) known--;
    hits += h; lruHits += l; refs += n;
    double gap = known > 0 ? now - record[ids[known - 1]].touched : -1;
    if (requests++ % learnEvery == 0) learn();
    guard(l - h, n);

    const int m = std::min(n, C);
    long newcomers = touch(ids, n, m, known);
    classify(ids, m, n - known, gap);
    int accepted = makeRoom(ids, m, residents + newcomers - C);
    store(ids, m, accepted);
    trimGhosts();
    return h;
  }


  bool holds(int block) const { return record[block].state == resident; }

 private:
  enum State : uint8_t { untracked, resident, ghost };
  struct Record {
    State state = untracked;
    uint8_t bin = 0, side = 0, touches = 0;
    bool parked = false, inLRU = false, thinned = false;
    uint16_t cls = 0, fromTail = 0;
    int parent = -1, children = 0;               // resident children only
    int prev = -1, next = -1;                    // segment list
    int older = -1, newer = -1;                  // recency list
    double touched = 0;
    uint64_t seq = 0;
  };
  struct List { int head = -1, tail = -1; long count = 0; };
  using Entry = std::pair<uint64_t, int>;             // (seq, block)
  using Heap = std::vector<Entry>;
  static constexpr size_t cells = (size_t)classes * bins;
  static constexpr int evictable = 0, waiting = 1;  // sides: residents that may go; parked residents and ghosts

  int C;
  std::vector<Record> record;
  std::vector<List> segment[2];
  std::vector<uint64_t> filled[2];                    // per class: which bins are not empty
  std::vector<double> hit, entered, index;            // per class and bin: E, N, G
  std::vector<bool> active;
  std::vector<int> activeList, freed;                 // classes seen so far; parked parents that became leaves
  Heap fullGhosts, thinGhosts;
  int oldest = -1, newest = -1, lruEnd = -1;     // recency list; oldest block of the shadow LRU
  long residents = 0, ghosts = 0, thinned = 0, lruCount = 0, requests = 0;
  double now = 0, edge[bins + 1];
  uint64_t seq = 0;
  double account = 0; long lruUntil = 0; int backoff = 0; bool lruMode = false;

  // ---- guard: stop when the shadow LRU has been ahead by about one cache-full ----
  void guard(int lruAhead, int n) {
    account += lruAhead - guardSlack * n;
    if (account < -guardCredit * C) { account = -guardCredit * C; backoff = 0; }
    if (!lruMode && account > guardLimit * C) {
      lruMode = true; guardTrips++; account = 0;
      lruUntil = refs + (long)(guardHold * C) * (1L << std::min(backoff++, 6));
    } else if (lruMode && refs >= lruUntil) { lruMode = false; account = 0; }
  }

  // ---- steps of a request ----
  // Count the touch, take every block out of its segment, move it to the newest end of the recency list (tail first).
  long touch(const int* ids, int n, int m, int known) {
    long newcomers = 0;
    int deeper = 2;                              // touches never grow with depth: floor for untracked blocks above a tracked one
    for (int i = m - 1; i >= 0; i--) {
      int x = ids[i]; Record& r = record[x];
      if (r.state == untracked) { r.touches = i < known ? deeper : 1; newcomers++; }
      else {
        leave(x, true);
        if (r.touches < 255) r.touches++;
        deeper = std::max(deeper, (int)r.touches);
        removeFromSegment(x); removeFromRecency(x);
        if (r.state == ghost) { r.state = untracked; ghosts--; if (r.thinned) { thinned--; r.thinned = false; } newcomers++; }
        r.parked = false;
      }
      r.fromTail = std::min(n - 1 - i, 65535); r.touched = now; r.seq = ++seq;
      r.older = newest; r.newer = -1; (newest >= 0 ? record[newest].newer : oldest) = x; newest = x;
      r.inLRU = true; lruCount++; if (lruEnd < 0) lruEnd = x;
    }
    while (lruCount > C) { record[lruEnd].inLRU = false; lruEnd = record[lruEnd].newer; lruCount--; }
    return newcomers;
  }

  void classify(const int* ids, int m, int newBlocks, double gap) {
    int n = 0, g = 0;
    for (long v = newBlocks + 1; n < nN - 1 && v >= 3; v /= 3) n++;
    if (gap >= 0) { g = 1; for (double q = 4; g < nG - 1 && gap + 1 >= q; q *= 4) g++; }
    for (int i = 0; i < m; i++) {
      Record& r = record[ids[i]];
      int t = r.touches, f = t <= 1 ? 0 : t == 2 ? 1 : t <= 4 ? 2 : t <= 16 ? 3 : 4;
      r.cls = (f * nN + n) * nG + g; r.bin = 0;
      if (!active[r.cls]) {
        active[r.cls] = true; activeList.push_back(r.cls);
        double p[bins]; for (int b = 0; b < bins; b++) p[b] = coldHazard(f, b);
        computeIndex(r.cls, p);
      }
      entered[r.cls * bins] += 1;
    }
  }

  // Evict or refuse until `over` blocks are gone. Returns how many of the m blocks are accepted.
  int makeRoom(const int* ids, int m, long over) {
    const uint64_t firstOfRequest = seq - m + 1;
    auto drainFreed = [&] {
      while (over > 0 && !freed.empty()) {
        int x = freed.back(); freed.pop_back(); Record& r = record[x];
        if (r.state == resident && r.parked && r.children == 0 && r.seq < firstOfRequest) { evict(x); over--; }
      }
    };
    drainFreed();
    if (over <= 0) return m;
    ageSegments(evictable);
    if (lruMode) {                               // exact LRU: merge the class lists by touch order
      Heap heads;
      auto push = [&](int c) {
        if (uint64_t mask = filled[evictable][c]) {
          int x = segment[evictable][c * bins + 63 - __builtin_clzll(mask)].head;
          heads.push_back({record[x].seq, x}); std::push_heap(heads.begin(), heads.end(), std::greater<Entry>());
        }
      };
      for (int c : activeList) push(c);
      while (over > 0 && !heads.empty()) {
        std::pop_heap(heads.begin(), heads.end(), std::greater<Entry>());
        int x = heads.back().second, c = record[x].cls; heads.pop_back();
        if (record[x].children > 0) park(x); else { evict(x); over--; drainFreed(); }
        push(c);
      }
    } else {
      struct Candidate { double g; int bin, cls; };
      std::vector<Candidate> order;
      for (int c : activeList)
        for (uint64_t mask = filled[evictable][c]; mask; mask &= mask - 1) { int b = __builtin_ctzll(mask); order.push_back({index[c * bins + b], b, c}); }
      std::sort(order.begin(), order.end(), [](const Candidate& a, const Candidate& b) { return a.g != b.g ? a.g < b.g : a.bin != b.bin ? a.bin > b.bin : a.cls < b.cls; });
      for (size_t k = 0; over > 0 && k < order.size();) {
        List& list = segment[evictable][order[k].cls * bins + order[k].bin];
        if (list.count == 0) { k++; continue; }
        if (m > 0 && record[ids[m - 1]].state == untracked && admitFactor * index[record[ids[m - 1]].cls * bins] < order[k].g) { m--; over--; refused++; continue; }
        int x = list.head;
        if (record[x].children > 0) { park(x); continue; }
        evict(x); over--; drainFreed();
      }
    }
    while (over > 0) { m--; over--; refused++; }  // everything else is part of the request: refuse its tail
    return m;
  }

  void store(const int* ids, int m, int accepted) {
    for (int i = m - 1; i >= 0; i--) {
      int x = ids[i]; Record& r = record[x];
      if (i >= accepted) { becomeGhost(x); continue; }
      if (r.state != resident) {
        r.state = resident; residents++; stored++;
        r.parent = i > 0 ? ids[i - 1] : -1;
        if (i > 0) record[ids[i - 1]].children++;
      }
      addToSegment(x, evictable, 0);
    }
  }

  // ---- leaving the cache ----
  void park(int x) { removeFromSegment(x); record[x].parked = true; addToSegment(x, waiting, record[x].bin); }
  void evict(int x) {
    removeFromSegment(x); residents--; becomeGhost(x);
    int p = record[x].parent;
    if (p >= 0 && --record[p].children == 0 && record[p].state == resident && record[p].parked) freed.push_back(p);
  }
  void becomeGhost(int x) {
    Record& r = record[x];
    r.state = ghost; r.parked = false; ghosts++;
    push(fullGhosts, x); addToSegment(x, waiting, r.bin);
  }
  void trimGhosts() {
    while (ghosts - thinned > C) {               // never a block of the shadow LRU: those are the C newest
      int x = popOldest(fullGhosts, false); Record& r = record[x];
      if ((r.fromTail & (r.fromTail - 1)) == 0) { r.thinned = true; thinned++; push(thinGhosts, x); } else forget(x);
    }
    while (ghosts > 2L * C) forget(popOldest(thinGhosts, true));
    compact(fullGhosts, false, ghosts - thinned); compact(thinGhosts, true, thinned);
  }
  void forget(int x) {
    Record& r = record[x];
    leave(x, false); removeFromSegment(x); removeFromRecency(x);
    if (r.thinned) { r.thinned = false; thinned--; }
    r.state = untracked; ghosts--;
  }
  void push(Heap& h, int x) { h.push_back({record[x].seq, x}); std::push_heap(h.begin(), h.end(), std::greater<Entry>()); }
  bool valid(const Entry& e, bool thin) { Record& r = record[e.second]; return r.state == ghost && r.seq == e.first && r.thinned == thin; }
  int popOldest(Heap& h, bool thin) {
    for (;;) { Entry e = h.front(); std::pop_heap(h.begin(), h.end(), std::greater<Entry>()); h.pop_back(); if (valid(e, thin)) return e.second; }
  }
  void compact(Heap& h, bool thin, long count) {  // at most half of a heap is stale
    if ((long)h.size() <= 2 * count + 1024) return;
    h.erase(std::remove_if(h.begin(), h.end(), [&](const Entry& e) { return !valid(e, thin); }), h.end());
    std::make_heap(h.begin(), h.end(), std::greater<Entry>());
  }

  // ---- lists ----
  void addToSegment(int x, int side, int bin) {
    Record& r = record[x]; List& l = segment[side][r.cls * bins + bin];
    r.side = side; r.bin = bin; r.prev = l.tail; r.next = -1;
    (l.tail >= 0 ? record[l.tail].next : l.head) = x; l.tail = x;
    l.count++; filled[side][r.cls] |= 1ull << bin;
  }
  void removeFromSegment(int x) {
    Record& r = record[x]; List& l = segment[r.side][r.cls * bins + r.bin];
    (r.prev >= 0 ? record[r.prev].next : l.head) = r.next;
    (r.next >= 0 ? record[r.next].prev : l.tail) = r.prev;
    if (--l.count == 0) filled[r.side][r.cls] &= ~(1ull << r.bin);
  }
  void removeFromRecency(int x) {
    Record& r = record[x];
    if (x == lruEnd) lruEnd = r.newer;
    if (r.inLRU) { r.inLRU = false; lruCount--; }
    (r.older >= 0 ? record[r.older].newer : oldest) = r.newer;
    (r.newer >= 0 ? record[r.newer].older : newest) = r.older;
  }
  void ageSegments(int side) {
    for (int c : activeList)
      for (int b = 0; b < bins - 1; b++) {
        if (!(filled[side][c] >> b & 1)) continue;
        List& l = segment[side][c * bins + b];
        while (l.head >= 0 && now - record[l.head].touched >= edge[b + 1]) {
          int x = l.head; removeFromSegment(x); addToSegment(x, side, b + 1); entered[c * bins + b + 1] += 1;
        }
      }
  }

  // ---- learning ----
  void leave(int x, bool wasTouched) {           // the block's wait ends: by a touch, or unseen (censored in mid-bin)
    Record& r = record[x]; int base = r.cls * bins, b = r.bin;
    while (b < bins - 1 && now - r.touched >= edge[b + 1]) entered[base + ++b] += 1;
    if (wasTouched) hit[base + b] += 1; else entered[base + b] -= 0.5;
  }
  double coldHazard(int f, int b) { return 1 - std::pow((edge[b] + 10) / (edge[b + 1] + 10), (f + 1) / (f + 3.0)); }
  void computeIndex(int c, const double* hazard) {
    double alive[bins + 1]; alive[0] = 1;
    for (int b = 0; b < bins; b++) alive[b + 1] = alive[b] * (1 - hazard[b]);
    for (int b = 0; b < bins; b++) {
      double best = 0, gain = 0, cost = 0;
      for (int e = b; e < bins; e++) {
        gain += alive[e] - alive[e + 1];
        cost += 0.5 * (alive[e] + alive[e + 1]) * (edge[e + 1] - edge[e]);
        double rate = cost > 0 ? gain / cost : 0;
        if (rate > best) best = rate;
        if (alive[e + 1] < 1e-9 * alive[b]) break;
      }
      index[c * bins + b] = best;
    }
  }
  void learn() {
    ageSegments(evictable); ageSegments(waiting);
    std::vector<double> risk(cells), base(nF * bins), sumHit(nF * bins), sumRisk(nF * bins);
    for (int c : activeList)
      for (int b = 0; b < bins; b++) {
        int k = c * bins + b, j = c / (nN * nG) * bins + b;
        double inside = segment[0][k].count + segment[1][k].count;
        risk[k] = std::max(hit[k], entered[k] - 0.5 * (hit[k] + inside));
        sumHit[j] += hit[k]; sumRisk[j] += risk[k];
      }
    for (int f = 0; f < nF; f++)
      for (int b = 0; b < bins; b++) { int j = f * bins + b; base[j] = std::min(1.0, (sumHit[j] + pseudoCold * coldHazard(f, b)) / (sumRisk[j] + pseudoCold)); }
    std::vector<double> seen(classes), expected(classes), thetaN(nN, 1.0), thetaG(nG, 1.0);
    for (int c : activeList)
      for (int b = 0; b < bins; b++) { seen[c] += hit[c * bins + b]; expected[c] += risk[c * bins + b] * base[c / (nN * nG) * bins + b]; }
    auto fit = [&](std::vector<double>& theta, const std::vector<double>& other, bool isN) {
      std::vector<double> s(theta.size(), pseudoTheta), e(theta.size(), pseudoTheta);
      for (int c : activeList) { int n = c / nG % nN, g = c % nG; s[isN ? n : g] += seen[c]; e[isN ? n : g] += expected[c] * other[isN ? g : n]; }
      for (size_t v = 0; v < theta.size(); v++) theta[v] = s[v] / e[v];
    };
    for (int sweep = 0; sweep < 4; sweep++) { fit(thetaN, thetaG, true); fit(thetaG, thetaN, false); }
    for (int c : activeList) {
      double p[bins], factor = thetaN[c / nG % nN] * thetaG[c % nG];
      for (int b = 0; b < bins; b++) {
        int k = c * bins + b;
        p[b] = std::min(1.0, (hit[k] + pseudoCell * std::min(0.95, base[c / (nN * nG) * bins + b] * factor)) / (risk[k] + pseudoCell));
      }
      computeIndex(c, p);
      for (int b = 0; b < bins; b++) { hit[c * bins + b] *= keepFactor; entered[c * bins + b] *= keepFactor; }
    }
  }
};
